"""Runs and workers in Django admin, to read."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from scheduler_api.admin.reading import ReadOnlyAdmin, redacted_json
from scheduler_api.catalogue.models import Worker, with_is_alive
from scheduler_api.runs.models import Run

# Of a list, only the columns that it shows: arguments and results may be long.
LONG = ("args", "kwargs", "options", "result", "error_message", "traceback")


class RunStateFilter(admin.SimpleListFilter):
    """Filters runs by state; final states by the index on `ended_as`."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the states."""
        return Run.State.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the runs in the selected state."""
        state = self.value()
        if state in Run.ACTIVE:
            return queryset.filter(ended_as=None, state=state)
        return queryset.filter(ended_as=state) if state else queryset


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """The ledger, newest first."""

    list_display = (
        *("periodic_task_name", "state", "slot_at", "started_at", "duration"),
        *("trigger", "worker"),
    )
    list_filter = (RunStateFilter, "trigger")
    search_fields = ("periodic_task_name__exact", "task__exact", "=id")
    search_help_text = "The exact name of a periodic task or a task, or the ID of a run."
    ordering = ("-created_at", "-id")
    fields = (
        *("id", "periodic_task_id", "periodic_task_name", "task", "trigger", "state", "reason"),
        *("slot_at", "due_at", "slot_count", "last_slot_at", "created_at", "queued_at"),
        *("started_at", "finished_at", "expires_at", "lease_until", "worker", "attempts"),
        *("arguments", "keyword_arguments", "result", "is_result_truncated"),
        *("error_type", "error_message", "traceback"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the runs without their long columns, which a detail page loads."""
        return super().get_queryset(request).defer(*LONG)

    @admin.display(description="Duration")
    def duration(self, run: Run) -> timedelta | None:
        """Return the duration of the last attempt."""
        return run.finished_at - run.started_at if run.finished_at and run.started_at else None

    @admin.display(description="Args")
    def arguments(self, run: Run) -> str:
        """Return the positional arguments, redacted."""
        return redacted_json(run.args)

    @admin.display(description="Kwargs")
    def keyword_arguments(self, run: Run) -> str:
        """Return the keyword arguments, redacted."""
        return redacted_json(run.kwargs)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Workers that have announced themselves."""

    list_display = ("name", "is_alive", "queues", "version", "concurrency", "last_seen_at")
    search_fields = ("name",)
    ordering = ("name",)
    fields = (
        *("name", "is_alive", "queues", "version", "celery_version", "pid", "concurrency"),
        *("started_at", "last_seen_at", "stopped_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the workers, with `is_alive`."""
        return with_is_alive(super().get_queryset(request))

    @admin.display(description="Alive", boolean=True)
    def is_alive(self, worker: Any) -> bool:
        """Return whether the worker shows signs of life."""
        return bool(worker.is_alive)
