"""Periodic tasks over HTTP."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import F, QuerySet
from django_celery_beat.models import PeriodicTask
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from scheduler_api.access.ownership import visible_to
from scheduler_api.access.permissions import account_of, caller_of
from scheduler_api.access.scopes import Scope, crud
from scheduler_api.catalogue.models import has_worker, was_announced
from scheduler_api.http.etags import RevisionMismatch
from scheduler_api.http.parsing import BULK_MAX_BYTES
from scheduler_api.http.problems import NotFound
from scheduler_api.http.viewsets import CrudViewSet
from scheduler_api.periodic_tasks import actions
from scheduler_api.periodic_tasks.batch import Batch, OperationResult, refuse_failed
from scheduler_api.periodic_tasks.batch_serializers import (
    BatchQuery,
    BatchResponseSerializer,
    BatchSerializer,
)
from scheduler_api.periodic_tasks.examples import ANSWER, PAUSE, PAUSED
from scheduler_api.periodic_tasks.filters import PeriodicTaskFilter
from scheduler_api.periodic_tasks.last_run import last_run
from scheduler_api.periodic_tasks.quotas import TooManyPeriodicTasks
from scheduler_api.periodic_tasks.serializers import (
    PauseSerializer,
    PeriodicTaskSerializer,
)
from scheduler_api.periodic_tasks.slots import schedule_of_task, upcoming_slots
from scheduler_api.periodic_tasks.warnings import warnings_about_edit
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.preview import (
    UpcomingQuery,
    UpcomingSerializer,
    moment_or_now,
    serialize_never,
    serialize_upcoming,
)
from scheduler_api.schedules.tables import KINDS

# The actions that answer with a definition that they have just written.
EDITS = frozenset({"create", "update", "partial_update", "put_by_name", "batch"})


class PeriodicTaskViewSet(CrudViewSet):
    """Celery tasks that run on a schedule, with fixed arguments."""

    resource = "periodic task"
    tag = "Periodic tasks"
    # Only the name of the owner: to load an account per row takes longer than the row itself.
    queryset = PeriodicTask.objects.select_related(*KINDS, "managed", "agenda").annotate(
        owner_name=F("managed__owner__name"),
        was_announced=was_announced("task"),
        has_worker=has_worker("task"),
        last_run=last_run(),
        next_run_at=F("agenda__slot_at"),
    )
    serializer_class = PeriodicTaskSerializer
    filterset_class = PeriodicTaskFilter
    ordering_fields = (
        *("id", "name", "task", "date_changed"),
        *("next_run_at", "last_run_at", "total_run_count"),
    )
    scopes: ClassVar = {
        **crud(
            read=Scope.PERIODIC_TASKS_READ,
            write=Scope.PERIODIC_TASKS_WRITE,
            delete=Scope.PERIODIC_TASKS_DELETE,
        ),
        **dict.fromkeys(("pause", "resume", "batch"), Scope.PERIODIC_TASKS_WRITE),
        "upcoming": Scope.PERIODIC_TASKS_READ,
    }
    queries: ClassVar = {"upcoming": UpcomingQuery, "batch": BatchQuery}
    has_slots = True
    # A pause that ends by itself does not change the definition. A call of `pause/` or `resume/`
    # changes the ETag by `revision`.
    volatile_fields = frozenset(
        {
            *("next_run_at", "last_run", "last_run_at", "total_run_count", "date_changed"),
            *("missed_count", "last_error"),
            *("paused", "paused_until", "pause_note"),
            "warnings",
        }
    )
    problems: ClassVar = {
        "create": (actions.NameTaken, TooManyPeriodicTasks),
        "update": (actions.NameTaken,),
        "partial_update": (actions.NameTaken,),
        "batch": (NotFound, actions.NameTaken, TooManyPeriodicTasks, RevisionMismatch),
    }

    def get_queryset(self) -> QuerySet[Any]:
        """Return the periodic tasks visible to the caller."""
        return super().get_queryset().filter(visible_to(account_of(self.request)))

    def run_dry(
        self, action: Callable[..., Response], request: Request, **address: str
    ) -> Response:
        """Run an action and roll it back; the response has no ids of schedules that it stored."""
        response = super().run_dry(action, request, **address)
        if isinstance(response.data, dict):
            results = response.data.get("results", [{"body": response.data}])
            forget_unstored_schedules([result["body"] for result in results])
        return response

    def store(self, serializer: Any) -> PeriodicTask:
        """Create a periodic task, or change the instance of the serializer."""
        draft, by = serializer.draft, caller_of(self.request)
        if serializer.instance is None:
            actions.create(draft, by=by)
        else:
            actions.change(serializer.instance, draft, by=by)
        task: PeriodicTask = draft.task
        return task

    def describe(self, stored: Any) -> dict[str, Any]:
        """Serialize a fetched row; after an edit, with its warnings."""
        data = super().describe(stored)
        if self.action in EDITS:
            edit = [warning.as_json() for warning in warnings_about_edit(stored.name)]
            data["warnings"] = [*data["warnings"], *edit]
        return data

    def remove(self, row: PeriodicTask) -> None:
        """Delete a periodic task."""
        actions.delete(row, by=caller_of(self.request))

    def slots_of(self, row: PeriodicTask, *, count: int) -> list[datetime]:
        """Return the next slots at which a periodic task will run."""
        try:
            return upcoming_slots(row, after=datetime.now(UTC), count=count)
        except InvalidSchedule:  # others broke it; this write changes other fields
            return []

    @extend_schema(
        request=PauseSerializer,
        responses=PeriodicTaskSerializer,
        examples=[
            OpenApiExample("Pause with an end", PAUSE, request_only=True),
            OpenApiExample("Pause with an end", {**ANSWER, **PAUSED}, response_only=True),
        ],
    )
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, **address: str) -> Response:
        """Pause a periodic task.

        A paused periodic task has no slots. Runs that were already sent still happen. If the
        periodic task is already paused, it gets the new note and end.
        """
        serializer = PauseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            task = self.locked_object()
            self.refuse_stale(task)
            actions.pause(task, **serializer.validated_data, by=caller_of(request))
            return self.answer(task)

    @extend_schema(request=None, responses=PeriodicTaskSerializer)
    @action(detail=True, methods=["post"])
    @transaction.atomic
    def resume(self, request: Request, **address: str) -> Response:
        """Resume a periodic task.

        Slots during the pause do not run. The next run is at the next slot; an interval starts
        anew. If the periodic task is not paused, nothing changes.
        """
        task = self.locked_object()
        self.refuse_stale(task)
        actions.resume(task, by=caller_of(request))
        return self.answer(task)

    @extend_schema(request=BatchSerializer, responses=BatchResponseSerializer)
    @action(detail=False, methods=["post"], max_body_bytes=BULK_MAX_BYTES)
    def batch(self, request: Request) -> Response:
        """Execute up to 500 operations in one request.

        The operations are executed in order. By default, all succeed or nothing is changed: the
        response is then the problem of the first operation that failed, and `errors` lists the
        mistakes of all. With `atomic=false`, an operation that fails does not affect the others,
        and each has its own result.
        """
        sent = BatchSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        batch = Batch(
            tasks=self.get_queryset(),
            serializer=PeriodicTaskSerializer(context=self.get_serializer_context()),
            etag_of=lambda task: self.etag(self.get_serializer(task).data),
            by=caller_of(request),
        )
        is_atomic = self.read_query()["atomic"]
        with transaction.atomic():
            results = batch.execute(sent.validated_data["operations"], is_atomic=is_atomic)
            if is_atomic:
                refuse_failed(results)
            return Response({"results": self.results_of(results)})

    def results_of(self, results: Sequence[OperationResult]) -> list[dict[str, Any]]:
        """Return the result of each operation of a batch."""
        changed = {result.task.pk for result in results if result.task}
        described = {
            task.pk: self.describe(task) for task in self.get_queryset().filter(pk__in=changed)
        }
        return [self.result_of(result, described) for result in results]

    def result_of(self, result: OperationResult, described: Mapping[int, Any]) -> dict[str, Any]:
        """Return the result of one operation, equal to the response of its own request."""
        if result.problem:
            problem = result.problem.as_json(self.request)
            return {"status": result.problem.status_code, "etag": None, "body": problem}
        body = described.get(result.task.pk) if result.task else None
        if not self.is_dry_run:
            return {"status": result.status, "etag": body and self.etag(body), "body": body}
        if result.status == status.HTTP_201_CREATED:
            body = {**(body or {}), **dict.fromkeys(self.fields_of_stored_rows)}
        return {"status": result.status, "etag": None, "body": body}

    @extend_schema(responses=UpcomingSerializer)
    @action(detail=True)
    def upcoming(self, request: Request, **address: str) -> Response:
        """List the upcoming slots of a periodic task.

        A periodic task has none before `start_time`, from `expires` on, during a pause, or while
        it is disabled.
        """
        query = self.read_query()
        task = self.get_object()
        after = moment_or_now(query.get("after"))
        try:
            schedule = schedule_of_task(task)
        except InvalidSchedule as error:
            return Response(serialize_never(error))
        slots = upcoming_slots(task, after=after, count=query["count"])
        return Response(serialize_upcoming(schedule, slots))


def forget_unstored_schedules(bodies: Sequence[Any]) -> None:
    """Replace, in periodic tasks in JSON, the ids of schedules that are not stored by null."""
    tasks = [body for body in bodies if isinstance(body, dict) and KINDS.keys() <= body.keys()]
    for kind, details in KINDS.items():
        ids = {task[kind] for task in tasks if task[kind] is not None}
        stored = {*details.model._default_manager.filter(pk__in=ids).values_list("pk", flat=True)}
        for task in tasks:
            if task[kind] is not None and task[kind] not in stored:
                task[kind] = None
                task["schedule"] = {**task["schedule"], "id": None}
