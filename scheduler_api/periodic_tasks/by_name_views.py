"""A periodic task at the URL of its name."""

from typing import Any, ClassVar

from django.db import transaction
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from scheduler_api.access.scopes import Scope
from scheduler_api.http.etags import refuse_existing, refuse_missing
from scheduler_api.http.names import find_by_name, normalized, spellings
from scheduler_api.http.problems import Mistake, ValidationFailed
from scheduler_api.periodic_tasks import actions
from scheduler_api.periodic_tasks.quotas import TooManyPeriodicTasks
from scheduler_api.periodic_tasks.serializers import (
    MAX_NAME_LENGTH,
    NamedPeriodicTaskSerializer,
    PeriodicTaskSerializer,
)
from scheduler_api.periodic_tasks.views import PeriodicTaskViewSet

NAME = OpenApiParameter(
    "name",
    {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH},
    OpenApiParameter.PATH,
    description="Name of the periodic task.",
)


class PeriodicTaskByNameViewSet(PeriodicTaskViewSet):
    """A periodic task that the caller may see, found by its name."""

    found_by = "by name"
    lookup_field = "name"
    scopes: ClassVar = {
        "retrieve": Scope.PERIODIC_TASKS_READ,
        "put_by_name": Scope.PERIODIC_TASKS_WRITE,
        "partial_update": Scope.PERIODIC_TASKS_WRITE,
        "destroy": Scope.PERIODIC_TASKS_DELETE,
    }
    problems: ClassVar = {
        "put_by_name": (actions.NameTaken, TooManyPeriodicTasks),
        "partial_update": (actions.NameTaken,),
    }

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Read the name in the URL as a name in a body; a row may have the name as it was sent."""
        super().initial(request, *args, **kwargs)
        name = self.kwargs["name"]
        if len(spellings(name)) > 1:
            found = find_by_name(self.get_queryset(), name)
            self.kwargs["name"] = found.name if found else normalized(name)

    @extend_schema(parameters=[NAME])
    def retrieve(self, request: Request, **address: str) -> Response:
        """Return a periodic task. Supports `If-None-Match`."""
        return super().retrieve(request, **address)

    @extend_schema(parameters=[NAME])
    def partial_update(self, request: Request, **address: str) -> Response:
        """Change the fields in the body. A field that is left out keeps its value.

        A new `name` changes the URL: the old one is then answered with 404.
        """
        return super().partial_update(request, **address)

    @extend_schema(parameters=[NAME])
    def destroy(self, request: Request, **address: str) -> Response:
        """Delete a periodic task. The deletion cannot be undone."""
        return super().destroy(request, **address)

    @extend_schema(
        parameters=[NAME],
        request=NamedPeriodicTaskSerializer,
        responses={200: PeriodicTaskSerializer, 201: PeriodicTaskSerializer},
    )
    @transaction.atomic
    def put_by_name(self, request: Request, name: str) -> Response:
        """Create or replace a periodic task by name.

        Safe to repeat. `If-None-Match: *` only creates, and `If-Match` only replaces: otherwise,
        the request is refused with 412.
        """
        data = {"name": name, **request.data} if isinstance(request.data, dict) else request.data
        try:
            task = self.locked_object()
        except Http404:
            refuse_missing(request)
            return self.make_named(name, data)
        refuse_existing(request)
        return self.change(task, data, partial=False)

    def make_named(self, name: str, data: Any) -> Response:
        """Create a periodic task with this name."""
        sent = data["name"] if isinstance(data, dict) else name
        if isinstance(sent, str) and normalized(sent) != name:
            raise ValidationFailed(errors=[name_mismatch(name)])
        return self.make(data)


def name_mismatch(name: str) -> Mistake:
    """Return the refusal of a new periodic task whose name differs from the URL.

    Without this refusal, a repeated request would not find the task that the first one created,
    and would be refused because the name is taken.
    """
    return Mistake(
        pointer="/name",
        code="not_the_address",
        detail=f"There is no periodic task {name!r} to rename: omit `name`, or send the name in "
        "the URL.",
    )
