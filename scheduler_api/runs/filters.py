"""Filters of runs."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet

from scheduler_api.access.ownership import visible_to
from scheduler_api.access.permissions import account_of
from scheduler_api.http.filtering import ChoicesFilter, IdFilter, InstantFilter, TextFilter
from scheduler_api.http.names import NameFilter
from scheduler_api.periodic_tasks.labels import FILTER_HELP, filter_by_labels
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.models import Run

# Up to this many, the database gets the ids themselves and can estimate how many runs they select.
MAX_IDS = 1000
# The most by which a worker's clock may be behind the database's.
CLOCKS_DIFFER = timedelta(hours=1)


class StateFilter(ChoicesFilter):
    """Selects runs by state; final states by the index on `ended_as`."""

    def filter(self, qs: QuerySet[Run], value: list[str] | None) -> QuerySet[Run]:
        """Return the runs in one of the states; all without a value."""
        if value and not set(value) & set(Run.ACTIVE):
            return qs.filter(ended_as__in=value)
        if value and set(value) <= set(Run.ACTIVE):
            return qs.filter(ended_as=None, state__in=value)
        selected: QuerySet[Run] = super().filter(qs, value)
        return selected


class BeforeFilter(InstantFilter):
    """Selects runs by a time before a moment.

    It adds that they were created before that too, because only `created_at` has an index.
    """

    def filter(self, qs: QuerySet[Run], value: datetime | None) -> QuerySet[Run]:
        """Return the selected runs; all without a value."""
        if value and value < datetime.max.replace(tzinfo=value.tzinfo) - CLOCKS_DIFFER:
            qs = qs.filter(created_at__lt=value + CLOCKS_DIFFER)
        selected: QuerySet[Run] = super().filter(qs, value)
        return selected


class RunsOfPeriodicTaskFilter(django_filters.FilterSet):
    """Filters of the runs of one periodic task; a run must match all of them."""

    periodic_task_name = NameFilter(
        help_text="Exact name of the periodic task when the run was created."
    )
    task = NameFilter(help_text="Exact name of the Celery task.")
    state = StateFilter(
        choices=Run.State.choices,
        help_text="State; separate several with commas, or repeat the parameter.",
    )
    trigger = django_filters.ChoiceFilter(
        choices=Run.Trigger.choices, help_text="Cause of the run."
    )
    label = TextFilter(
        method="has_labels",
        help_text=f"{FILTER_HELP} Compared with the labels that the periodic task has now.",
    )
    worker = TextFilter(help_text="Exact name of the Celery worker that started the last attempt.")
    slot_at_after = InstantFilter(
        field_name="slot_at",
        lookup_expr="gte",
        help_text="Only runs with a slot at or after this time.",
    )
    slot_at_before = InstantFilter(
        field_name="slot_at", lookup_expr="lt", help_text="Only runs with a slot before this time."
    )
    created_at_after = InstantFilter(
        field_name="created_at",
        lookup_expr="gte",
        help_text="Only runs created at or after this time.",
    )
    created_at_before = InstantFilter(
        field_name="created_at", lookup_expr="lt", help_text="Only runs created before this time."
    )
    started_at_after = InstantFilter(
        field_name="started_at",
        lookup_expr="gte",
        help_text="Only runs started at or after this time.",
    )
    started_at_before = BeforeFilter(
        field_name="started_at",
        lookup_expr="lt",
        help_text="Only runs started before this time.",
    )
    finished_at_after = InstantFilter(
        field_name="finished_at",
        lookup_expr="gte",
        help_text="Only runs that ended at or after this time.",
    )
    finished_at_before = BeforeFilter(
        field_name="finished_at",
        lookup_expr="lt",
        help_text="Only runs that ended before this time.",
    )

    class Meta:
        model = Run
        fields: ClassVar[list[str]] = []

    def has_labels(self, rows: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        """Select runs of the caller's periodic tasks that have these labels now."""
        tasks = ManagedTask.objects.filter(visible_to(account_of(self.request), owner="owner_id"))
        ids = filter_by_labels(tasks, value).values_list("pk", flat=True)
        few: list[Any] = list(ids[: MAX_IDS + 1])
        return rows.filter(periodic_task_id__in=few if len(few) <= MAX_IDS else ids)


class RunFilter(RunsOfPeriodicTaskFilter):
    """Filters of all runs."""

    periodic_task = IdFilter(
        field_name="periodic_task_id",
        lookup_expr="exact",
        help_text="ID of the periodic task, which may have been deleted.",
    )


class RunStatsFilter(RunFilter):
    """Filters of the statistics; their time range is a parameter of its own."""

    created_at_after: Any = None
    created_at_before: Any = None


class IndexedFilter(django_filters.FilterSet):
    """The filters that have an index together with the time."""

    periodic_task = RunFilter.base_filters["periodic_task"]
    state = RunFilter.base_filters["state"]

    class Meta:
        model = Run
        fields: ClassVar[list[str]] = []
