"""The ledger over HTTP: what was sent, when, and what came of it."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_celery_beat.models import PeriodicTask
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from scheduler_api.access.ownership import visible_to
from scheduler_api.access.permissions import account_of
from scheduler_api.access.scopes import Scope
from scheduler_api.http.viewsets import ApiViewSet, ListRetrieveViewSet
from scheduler_api.runs.filters import RunFilter, RunsOfPeriodicTaskFilter
from scheduler_api.runs.models import Run
from scheduler_api.runs.serializers import RunSerializer


class ReadsRuns(ApiViewSet):
    """What the views of runs have in common."""

    tag = "Runs"
    # What a worker gets may be long, and no answer has it.
    queryset = Run.objects.defer("args", "kwargs", "options")
    serializer_class = RunSerializer
    # No other order has an index: a ledger of millions would be sorted for each page.
    ordering_fields = ("-created_at",)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the runs that the caller may see, also of what is deleted since."""
        account = account_of(self.request)
        return super().get_queryset().filter(visible_to(account, owner="owner_id"))


class RunViewSet(ReadsRuns, ListRetrieveViewSet):
    """The runs of all periodic tasks, the newest first."""

    resource = "run"
    filterset_class = RunFilter
    scopes: ClassVar = dict.fromkeys(("list", "retrieve"), Scope.RUNS_READ)
    id_schema: ClassVar = {"type": "string", "format": "uuid"}
    lookup_value_regex = "[0-9A-Fa-f-]{1,36}"  # of which those that are no UUID are not there


class RunsOfPeriodicTaskViewSet(ReadsRuns):
    """The runs of one periodic task, the newest first."""

    resource = "periodic task"
    filterset_class = RunsOfPeriodicTaskFilter
    scopes: ClassVar = {"runs": Scope.RUNS_READ}
    pages = frozenset({"runs"})

    def get_queryset(self) -> QuerySet[Any]:
        """Return the runs of the periodic task at this address; raise Http404 without one."""
        tasks = PeriodicTask.objects.filter(visible_to(account_of(self.request)))
        task = get_object_or_404(tasks.only("pk"), pk=self.kwargs["pk"])
        return super().get_queryset().filter(periodic_task_id=task.pk)

    @extend_schema(responses=RunSerializer(many=True))
    def runs(self, request: Request, **address: str) -> Response:
        """List the runs of a periodic task.

        Those of one that is deleted are on `/api/v1/runs/?periodic_task=`, with its id.
        """
        return self.answer_page()
