"""The catalogue over HTTP: what can run, and who runs it."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from scheduler_api.access.scopes import Scope
from scheduler_api.catalogue.models import Worker, with_is_alive
from scheduler_api.catalogue.serializers import (
    TaskSerializer,
    WholeTaskSerializer,
    WorkerSerializer,
)
from scheduler_api.catalogue.task_lookup import known_names, known_task, known_tasks
from scheduler_api.http.paging import KeysetPagination
from scheduler_api.http.problems import NotFound
from scheduler_api.http.serializers import unknown
from scheduler_api.http.viewsets import ApiViewSet


class OnePage(KeysetPagination):
    """The shape of a page, for what is always told whole."""

    parameters = ()

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Take none."""
        return []


class TaskViewSet(ApiViewSet):
    """The tasks that the workers have, or that this process has; Celery's own left out."""

    resource = "task"
    tag = "Tasks"
    serializer_class = TaskSerializer
    scopes: ClassVar = {"list": Scope.TASKS_READ, "retrieve": Scope.TASKS_READ}
    lookup_field = "name"
    lookup_value_regex = "[^/]+"
    filter_backends = ()
    pagination_class = OnePage
    volatile_fields = frozenset({"worker_count", "last_seen_at", "workers"})

    def list(self, request: Request) -> Response:
        """Answer with all of them, sorted by name.

        Those of which a worker has told, and those that the API has itself.
        """
        results = self.get_serializer(known_tasks(), many=True).data
        return Response({"next": None, "previous": None, "results": results})

    @extend_schema(
        parameters=[OpenApiParameter("name", str, "path", description="The task's name.")],
        responses=WholeTaskSerializer,
    )
    def retrieve(self, request: Request, name: str) -> Response:
        """Answer with one, by its name, and with the workers that have it."""
        task = known_task(name)
        if task is None:
            raise NotFound(unknown("task", name, known_names()))
        return self.read(WholeTaskSerializer(task).data)


class WorkerViewSet(ApiViewSet):
    """The Celery workers that know this service."""

    resource = "worker"
    tag = "Workers"
    queryset = with_is_alive(Worker.objects.all())
    serializer_class = WorkerSerializer
    scopes: ClassVar = {"list": Scope.TASKS_READ}
    ordering_fields = ("name",)

    def list(self, request: Request) -> Response:
        """Answer with one page, sorted by name; follow `next` for the others.

        One that nobody has seen for 30 days is forgotten. A worker without this app, or without
        the database, tells nothing of itself.
        """
        return self.answer_page()
