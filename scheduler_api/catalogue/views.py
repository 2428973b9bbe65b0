"""Views of the catalogue: tasks and workers."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from scheduler_api.access.scopes import Scope
from scheduler_api.catalogue.models import Worker, with_is_alive
from scheduler_api.catalogue.serializers import (
    TaskDetailSerializer,
    TaskSerializer,
    WorkerSerializer,
)
from scheduler_api.catalogue.task_lookup import known_task, known_tasks, unknown_task
from scheduler_api.http.paging import KeysetPagination
from scheduler_api.http.problems import NotFound
from scheduler_api.http.viewsets import ApiViewSet


class OnePage(KeysetPagination):
    """A page that always holds the whole list."""

    parameters = ()

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Return no parameters."""
        return []


class TaskViewSet(ApiViewSet):
    """Tasks registered in a worker or in the API process, without Celery's built-in tasks."""

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
        """List tasks.

        Returns all tasks, sorted by name: the tasks that workers have announced and the API
        process's own. Celery's built-in tasks are left out.
        """
        results = self.get_serializer(known_tasks(), many=True).data
        return Response({"next": None, "previous": None, "results": results})

    @extend_schema(
        parameters=[OpenApiParameter("name", str, "path", description="Name of the task.")],
        responses=TaskDetailSerializer,
    )
    def retrieve(self, request: Request, name: str) -> Response:
        """Get a task.

        Includes the workers that have the task.
        """
        task = known_task(name)
        if task is None:
            raise NotFound(unknown_task(name))
        return self.read(TaskDetailSerializer(task).data)


class WorkerViewSet(ApiViewSet):
    """Celery workers that announce themselves to this service."""

    resource = "worker"
    tag = "Workers"
    queryset = with_is_alive(Worker.objects.all())
    serializer_class = WorkerSerializer
    scopes: ClassVar = {"list": Scope.TASKS_READ}
    ordering_fields = ("name",)

    def list(self, request: Request) -> Response:
        """List workers.

        Returns one page, sorted by name. Follow `next` until it is null. A worker is listed for 30
        days after its last heartbeat. A worker without this app or without access to the database
        is not listed.
        """
        return self.answer_page()
