"""By what runs are found."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet

from scheduler_api.access.ownership import visible_to
from scheduler_api.access.permissions import account_of
from scheduler_api.http.filtering import ChoicesFilter, IdFilter, InstantFilter, TextFilter
from scheduler_api.periodic_tasks.labels import FILTER_HELP, filter_by_labels
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.models import Run

# So many ids are given to the database, which then knows how few or how many runs they select.
MAX_IDS = 1000
# A worker's clock is behind the database's by less.
CLOCKS_DIFFER = timedelta(hours=1)


class StateFilter(ChoicesFilter):
    """Selects runs by where they stand: those that have ended, by the index of how."""

    def filter(self, qs: QuerySet[Run], value: list[str] | None) -> QuerySet[Run]:
        """Return the runs in one of some states; without a value, all."""
        if value and not set(value) & set(Run.ACTIVE):
            return qs.filter(ended_as__in=value)
        if value and set(value) <= set(Run.ACTIVE):
            return qs.filter(ended_as=None, state__in=value)
        selected: QuerySet[Run] = super().filter(qs, value)
        return selected


class BeforeFilter(InstantFilter):
    """Selects runs to which something happened before a moment; they were entered before, too.

    That is said as well: it is what has an index.
    """

    def filter(self, qs: QuerySet[Run], value: datetime | None) -> QuerySet[Run]:
        """Return the runs; without a value, all."""
        if value and value < datetime.max.replace(tzinfo=value.tzinfo) - CLOCKS_DIFFER:
            qs = qs.filter(created_at__lt=value + CLOCKS_DIFFER)
        selected: QuerySet[Run] = super().filter(qs, value)
        return selected


class RunsOfPeriodicTaskFilter(django_filters.FilterSet):
    """Filters of the runs of one periodic task; several narrow them down together."""

    periodic_task_name = TextFilter(
        help_text="The exact name that the periodic task had at that time."
    )
    task = TextFilter(help_text="The exact name of the task.")
    state = StateFilter(
        choices=Run.State.choices,
        help_text="Where it stands; several with commas between, or each by itself.",
    )
    trigger = django_filters.ChoiceFilter(
        choices=Run.Trigger.choices, help_text="Who asked for it."
    )
    label = TextFilter(
        method="has_labels", help_text=f"{FILTER_HELP} Those that the periodic task has now."
    )
    worker = TextFilter(help_text="The exact name of the Celery worker that took it up last.")
    slot_at_after = InstantFilter(
        field_name="slot_at", lookup_expr="gte", help_text="Of this slot or a later one."
    )
    slot_at_before = InstantFilter(
        field_name="slot_at", lookup_expr="lt", help_text="Of a slot before this moment."
    )
    created_at_after = InstantFilter(
        field_name="created_at", lookup_expr="gte", help_text="Entered at this moment or later."
    )
    created_at_before = InstantFilter(
        field_name="created_at", lookup_expr="lt", help_text="Entered before this moment."
    )
    started_at_after = InstantFilter(
        field_name="started_at",
        lookup_expr="gte",
        help_text="Taken up by a worker, the last time, at this moment or later.",
    )
    started_at_before = BeforeFilter(
        field_name="started_at",
        lookup_expr="lt",
        help_text="Taken up by a worker, the last time, before this moment.",
    )
    finished_at_after = InstantFilter(
        field_name="finished_at", lookup_expr="gte", help_text="Ended at this moment or later."
    )
    finished_at_before = BeforeFilter(
        field_name="finished_at", lookup_expr="lt", help_text="Ended before this moment."
    )

    class Meta:
        model = Run
        fields: ClassVar[list[str]] = []

    def has_labels(self, rows: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        """Select those whose periodic task has these labels now, and is the caller's to see."""
        tasks = ManagedTask.objects.filter(visible_to(account_of(self.request), owner="owner_id"))
        ids = filter_by_labels(tasks, value).values_list("pk", flat=True)
        few: list[Any] = list(ids[: MAX_IDS + 1])
        return rows.filter(periodic_task_id__in=few if len(few) <= MAX_IDS else ids)


class RunFilter(RunsOfPeriodicTaskFilter):
    """Filters of all runs."""

    periodic_task = IdFilter(
        field_name="periodic_task_id",
        lookup_expr="exact",
        help_text="The id of the periodic task, which may be deleted since.",
    )


class RunStatsFilter(RunFilter):
    """Filters of the runs of which there are statistics; their range is no filter."""

    created_at_after: Any = None
    created_at_before: Any = None


class IndexedFilter(django_filters.FilterSet):
    """Those of the filters that have an index with the time."""

    periodic_task = RunFilter.base_filters["periodic_task"]
    state = RunFilter.base_filters["state"]

    class Meta:
        model = Run
        fields: ClassVar[list[str]] = []
