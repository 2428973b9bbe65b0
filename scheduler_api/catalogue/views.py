"""The catalogue over HTTP: what can run."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from scheduler_api.access.scopes import Scope
from scheduler_api.catalogue.registry import get_task, registered_tasks
from scheduler_api.catalogue.serializers import TaskSerializer
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
    """The tasks that are registered with Celery, Celery's own left out."""

    resource = "task"
    tag = "Tasks"
    serializer_class = TaskSerializer
    scopes: ClassVar = {"list": Scope.TASKS_READ, "retrieve": Scope.TASKS_READ}
    lookup_field = "name"
    lookup_value_regex = "[^/]+"
    filter_backends = ()
    pagination_class = OnePage

    def list(self, request: Request) -> Response:
        """Answer with all of them, sorted by name."""
        results = self.get_serializer(registered_tasks(), many=True).data
        return Response({"next": None, "previous": None, "results": results})

    @extend_schema(
        parameters=[OpenApiParameter("name", str, "path", description="The task's name.")]
    )
    def retrieve(self, request: Request, name: str) -> Response:
        """Answer with one, by its name."""
        task = get_task(name)
        if task is None:
            raise NotFound(unknown("task", name, [task.name for task in registered_tasks()]))
        return self.read(self.get_serializer(task).data)
