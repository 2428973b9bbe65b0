"""Backfills over HTTP."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from scheduler_api.access.ownership import visible_to
from scheduler_api.access.permissions import account_of, caller_of
from scheduler_api.access.scopes import Scope
from scheduler_api.http.viewsets import ApiViewSet
from scheduler_api.runs import actions, backfill
from scheduler_api.runs.backfill_serializers import (
    MAX_LISTED,
    BackfillResponseSerializer,
    BackfillSerializer,
)
from scheduler_api.runs.models import Run


class BackfillViewSet(ApiViewSet):
    """Backfills: runs of past slots that have none."""

    resource = "periodic task"
    tag = "Runs"
    queryset = PeriodicTask.objects.all()
    scopes: ClassVar = {"backfill": Scope.RUNS_WRITE}
    problems: ClassVar = {"backfill": (actions.NotSendable,)}
    # The ids of the runs are those of their slots, and known before.
    fields_of_stored_rows: ClassVar[tuple[str, ...]] = ()

    def get_queryset(self) -> QuerySet[Any]:
        """Return the periodic tasks that the caller may see."""
        return super().get_queryset().filter(visible_to(account_of(self.request)))

    @extend_schema(request=BackfillSerializer, responses={202: BackfillResponseSerializer})
    def backfill(self, request: Request, **address: str) -> Response:
        """Run the past slots of a time range.

        Creates a run for each slot that has none: slots that were missed, and slots from before
        the periodic task existed, computed from its current schedule. Beat sends a few of these
        runs at a time, oldest first; runs of current slots go first.
        """
        self.read_range(self.get_object())  # a request that is refused locks nothing
        with transaction.atomic():
            task = backfill.locked(self.get_queryset(), self.kwargs["pk"])
            filled = backfill.backfill(
                task, **self.read_range(task), now=datetime.now(UTC), by=caller_of(request)
            )
        answer = {
            "count": len(filled.runs),
            "in_ledger": filled.in_ledger,
            "left_to_beat": filled.left_to_beat,
            "runs": filled.runs[:MAX_LISTED],
        }
        data = BackfillResponseSerializer(answer).data
        if self.is_dry_run:
            return Response(data)
        runs = reverse("periodic-task-runs", args=[task.pk], request=request)
        headers = {"Location": f"{runs}?trigger={Run.Trigger.BACKFILL}"}
        return Response(data, status.HTTP_202_ACCEPTED, headers=headers)

    def read_range(self, task: PeriodicTask) -> dict[str, Any]:
        """Return the range in the body; raise if it, or this periodic task, is refused."""
        context = {"task": task, "account": account_of(self.request)}
        sent = BackfillSerializer(data=self.request.data, context=context)
        sent.is_valid(raise_exception=True)
        validated: dict[str, Any] = sent.validated_data
        return validated
