"""The ledger over HTTP: runs, requests for runs, backfills and statistics."""

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_celery_beat.models import PeriodicTask
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from scheduler_api.access.models import ServiceAccount
from scheduler_api.access.ownership import visible_to
from scheduler_api.access.permissions import account_of, caller_of
from scheduler_api.access.scopes import Scope
from scheduler_api.http.paging import invalid_parameter
from scheduler_api.http.viewsets import ApiViewSet, ListRetrieveViewSet
from scheduler_api.runs import actions, backfill
from scheduler_api.runs.backfill_serializers import (
    MAX_LISTED,
    BackfillResponseSerializer,
    BackfillSerializer,
)
from scheduler_api.runs.filters import (
    IndexedFilter,
    RunFilter,
    RunsOfPeriodicTaskFilter,
    RunStatsFilter,
)
from scheduler_api.runs.models import Run
from scheduler_api.runs.serializers import (
    ASKED_FOR,
    OTHER_ARGUMENTS,
    RunDetailSerializer,
    RunNowSerializer,
    RunSerializer,
    WaitQuery,
)
from scheduler_api.runs.stats import MAX_RUNS, stats_of
from scheduler_api.runs.stats_serializers import RunStatsQuery, RunStatsSerializer
from scheduler_api.runs.waiting import when_ended
from scheduler_api.schedules.limits import refuse_beyond_limits

LISTS = {"list", "runs"}
LONG = ("args", "kwargs", "options", "result", "error_message", "traceback")


class ReadsRuns(ApiViewSet):
    """The common base of the views of runs."""

    tag = "Runs"
    queryset = Run.objects.all()
    serializer_class = RunSerializer
    # No other order has an index: a ledger of millions would be sorted for each page.
    ordering_fields = ("-created_at",)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the runs that the caller may see, those of deleted periodic tasks too.

        Arguments and results may be long: a list leaves them in the database.
        """
        account = account_of(self.request)
        runs = super().get_queryset().filter(visible_to(account, owner="owner_id"))
        return runs.defer(*LONG) if self.action in LISTS else runs


class RunViewSet(ReadsRuns, ListRetrieveViewSet):
    """The runs of all periodic tasks, newest first."""

    resource = "run"
    filterset_class = RunFilter
    scopes: ClassVar = {
        **dict.fromkeys(("list", "retrieve"), Scope.RUNS_READ),
        **dict.fromkeys(("cancel", "retry"), Scope.RUNS_WRITE),
    }
    problems: ClassVar = {
        "cancel": (actions.HasEnded,),
        "retry": (actions.CannotRetry,),
    }
    queries: ClassVar = {"retrieve": WaitQuery}
    id_schema: ClassVar = {"type": "string", "format": "uuid"}
    lookup_value_regex = "[0-9A-Fa-f-]{1,36}"  # other than a UUID: 404

    def get_serializer_class(self) -> type[RunSerializer]:
        """Return the serializer of a list, or of one run with its arguments and result."""
        return RunSerializer if self.action == "list" else RunDetailSerializer

    def retrieve(self, request: Request, **address: str) -> Response:
        """Get a run.

        Includes its arguments and result. With `wait`, the response is sent when the run has
        ended. If it has not ended after `wait` seconds, or if too many callers are waiting, the
        response has its current state: repeat the request.
        """
        run = when_ended(self.get_object, timeout_seconds=self.read_query()["wait"])
        return self.read(self.get_serializer(run).data)

    @extend_schema(request=None, responses=RunDetailSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **address: str) -> Response:
        """Cancel a run.

        A run that has not started becomes `cancelled`. If it has started, its worker is asked to
        end the process: the run stays `running`, with the request in `reason`, until the worker
        records a few seconds later that it is `cancelled`.
        """
        actions.cancel(self.get_object(), now=datetime.now(UTC), by=caller_of(request))
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses={202: RunDetailSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, **address: str) -> Response:
        """Repeat a run that has ended.

        Creates a new run with the arguments and options of the original, even if its periodic task
        was changed or deleted.
        """
        run = self.get_object()
        refuse_beyond(run, account_of(request))
        again = actions.retry(run, now=datetime.now(UTC), by=caller_of(request))
        return answer_accepted(self, again)


def refuse_beyond(run: Run, account: ServiceAccount) -> None:
    """Raise ValidationFailed if an account may not run this task or use its queue."""
    options = json.loads(run.options)
    names = ("queue", "exchange", "routing_key")
    task = PeriodicTask(task=run.task, **{name: options.get(name) for name in names})
    refuse_beyond_limits(task, account)


def answer_accepted(view: ApiViewSet, run: Run) -> Response:
    """Respond with a new run and its URL; a dry run has no id and no URL."""
    data = RunDetailSerializer(run).data
    if view.is_dry_run:
        return Response({**data, "id": None})
    address = reverse("run-detail", args=[run.pk], request=view.request)
    return Response(data, status.HTTP_202_ACCEPTED, headers={"Location": address})


class RunsOfPeriodicTaskViewSet(ReadsRuns):
    """The runs of one periodic task, newest first."""

    resource = "periodic task"
    filterset_class = RunsOfPeriodicTaskFilter
    scopes: ClassVar = {"runs": Scope.RUNS_READ, "run_now": Scope.RUNS_WRITE}
    problems: ClassVar = {"run_now": (actions.NotSendable,)}
    paged_actions = frozenset({"runs"})

    def get_task(self) -> PeriodicTask:
        """Return the periodic task at this address; raise Http404 without one."""
        tasks = PeriodicTask.objects.filter(visible_to(account_of(self.request)))
        task: PeriodicTask = get_object_or_404(
            tasks.select_related("managed"), pk=self.kwargs["pk"]
        )
        return task

    def get_queryset(self) -> QuerySet[Any]:
        """Return the runs of the periodic task at this address; raise Http404 without one."""
        return super().get_queryset().filter(periodic_task_id=self.get_task().pk)

    @extend_schema(responses=RunSerializer(many=True))
    def runs(self, request: Request, **address: str) -> Response:
        """List the runs of a periodic task.

        Returns one page. Follow `next` until it is null. For a deleted periodic task, use
        `/api/v1/runs/?periodic_task=` with its ID.
        """
        return self.answer_page()

    @extend_schema(
        operation_id="runPeriodicTask",
        request=RunNowSerializer,
        responses={202: RunDetailSerializer},
        examples=[
            OpenApiExample("Other arguments", OTHER_ARGUMENTS, request_only=True),
            OpenApiExample("Other arguments", ASKED_FOR, response_only=True, status_codes=["202"]),
        ],
    )
    def run_now(self, request: Request, **address: str) -> Response:
        """Run a periodic task now.

        Creates a run even if the periodic task is paused, disabled or running. Its slots and its
        `last_run_at` stay as they are, and `overlap` does not apply. While the broker is
        unavailable, the run waits.
        """
        task = self.get_task()
        context = {"task": task, "account": account_of(request)}
        sent = RunNowSerializer(data=request.data, context=context)
        sent.is_valid(raise_exception=True)
        run = actions.run_now(
            task, **sent.validated_data, now=datetime.now(UTC), by=caller_of(request)
        )
        return answer_accepted(self, run)


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


class RunStatsViewSet(ReadsRuns):
    """Statistics of runs."""

    resource = "run"
    filterset_class = RunStatsFilter
    scopes: ClassVar = {"stats": Scope.RUNS_READ}
    queries: ClassVar = {"stats": RunStatsQuery}
    filtered_actions = frozenset({"stats"})

    @extend_schema(filters=True, responses=RunStatsSerializer)
    def stats(self, request: Request, **address: str) -> Response:
        """Get statistics of runs.

        Returns counts by state, durations and lateness of the runs created in a time range: of all
        together, or grouped by task or periodic task, and by hour or day.
        """
        query = self.read_query()
        after, before = query["created_at_after"], query["created_at_before"]
        runs = self.get_queryset().filter(created_at__gte=after, created_at__lt=before)
        selected = self.filter_queryset(runs)
        refuse_too_many(IndexedFilter(request.query_params, runs).qs)
        groups, is_complete = stats_of(
            selected, group_by=query["group_by"], bucket=query["bucket"]
        )
        answer = {**query, "is_complete": is_complete, "results": groups}
        return Response(RunStatsSerializer(answer).data)


def refuse_too_many(runs: QuerySet[Run]) -> None:
    """Raise InvalidQuery if the response would have to read too much of the ledger.

    Only filters with an index count: with any other, the database reads the rows all the same.
    """
    if runs.order_by()[: MAX_RUNS + 1].count() > MAX_RUNS:
        raise invalid_parameter(
            "created_at_after",
            f"More than {MAX_RUNS:,} runs were entered in this range: take a shorter one, or ask "
            "for one periodic_task or for some states.",
        )
