"""The ledger over HTTP: runs and requests for runs."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
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
from scheduler_api.access.permissions import account_of, caller_of, refuse_without
from scheduler_api.access.scopes import Scope
from scheduler_api.http import idempotency
from scheduler_api.http.viewsets import ApiViewSet, ListRetrieveViewSet
from scheduler_api.runs import actions
from scheduler_api.runs.filters import (
    RunFilter,
    RunsOfPeriodicTaskFilter,
)
from scheduler_api.runs.models import Run
from scheduler_api.runs.request_serializers import ANSWER as NEW_RUN_ANSWER
from scheduler_api.runs.request_serializers import EXAMPLE as NEW_RUN
from scheduler_api.runs.request_serializers import NewRunSerializer
from scheduler_api.runs.serializers import (
    ASKED_FOR,
    OTHER_ARGUMENTS,
    RunDetailSerializer,
    RunNowSerializer,
    RunSerializer,
    WaitQuery,
)
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


class RequestsRuns(ReadsRuns):
    """The common base of views that create a run and, with `wait`, respond after its end."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Wrap the action of a request that waits.

        The wait begins after the transaction of the action, or else beat could not see the run.
        """
        super().initial(request, *args, **kwargs)
        if request.method != "POST" or self.action not in self.queries or self.is_dry_run:
            return
        if wait := self.read_query()["wait"]:
            refuse_without(Scope.RUNS_READ, account_of(request))
            self.post = partial(self.after_the_end, self.post, wait)

    def after_the_end(
        self, action: Callable[..., HttpResponse], wait: int, request: Request, **address: str
    ) -> HttpResponse:
        """Create a run, or find the run of an idempotent repeat; return it after its end."""
        response = action(request, **address)
        if response.status_code != status.HTTP_202_ACCEPTED:
            return response
        run_id = response.headers["Location"].rstrip("/").rpartition("/")[2]
        run = when_ended(partial(get_object_or_404, Run, pk=run_id), timeout_seconds=wait)
        kept = {"Location", idempotency.REPLAYED} & {*response.headers}
        headers = {name: response.headers[name] for name in kept}
        data = RunDetailSerializer(run).data
        return Response(data, status.HTTP_202_ACCEPTED, headers=headers)


class RunViewSet(RequestsRuns, ListRetrieveViewSet):
    """All runs, newest first."""

    resource = "run"
    filterset_class = RunFilter
    scopes: ClassVar = {
        **dict.fromkeys(("list", "retrieve"), Scope.RUNS_READ),
        **dict.fromkeys(("create", "cancel", "retry"), Scope.RUNS_WRITE),
    }
    problems: ClassVar = {
        "create": (actions.NotSendable,),
        "cancel": (actions.HasEnded,),
        "retry": (actions.CannotRetry,),
    }
    queries: ClassVar = dict.fromkeys(("retrieve", "create", "retry"), WaitQuery)
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

    @extend_schema(
        request=NewRunSerializer,
        responses={202: RunDetailSerializer},
        examples=[
            OpenApiExample("A run of a task", NEW_RUN, request_only=True),
            OpenApiExample(
                "A run of a task", NEW_RUN_ANSWER, response_only=True, status_codes=["202"]
            ),
        ],
    )
    def create(self, request: Request) -> Response:
        """Run a periodic task or a task now.

        A periodic task, given by `periodic_task` or `periodic_task_name`, runs as by
        `POST /api/v1/periodic-tasks/{id}/runs/`. A `task` runs once without a definition: it has
        no retries, and the account that sends the request owns it.
        """
        account = account_of(request)
        tasks = PeriodicTask.objects.filter(visible_to(account)).select_related("managed")
        context = {"tasks": tasks, "account": account}
        sent = NewRunSerializer(data=request.data, context=context)
        sent.is_valid(raise_exception=True)
        run = actions.run_now(**sent.validated_data, now=datetime.now(UTC), by=caller_of(request))
        return answer_accepted(self, run)

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


class RunsOfPeriodicTaskViewSet(RequestsRuns):
    """The runs of one periodic task, newest first."""

    resource = "periodic task"
    filterset_class = RunsOfPeriodicTaskFilter
    scopes: ClassVar = {"runs": Scope.RUNS_READ, "run_now": Scope.RUNS_WRITE}
    problems: ClassVar = {"run_now": (actions.NotSendable,)}
    queries: ClassVar = {"run_now": WaitQuery}
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
