"""Filters of the list of periodic tasks."""

from typing import Any, ClassVar

import django_filters
from django.db.models import Q, QuerySet
from django_celery_beat.models import PeriodicTask

from scheduler_api.http.filtering import (
    ChoicesFilter,
    FlagFilter,
    IdFilter,
    InstantFilter,
    TextFilter,
)
from scheduler_api.http.names import NameFilter
from scheduler_api.periodic_tasks.labels import FILTER_HELP, filter_by_labels
from scheduler_api.periodic_tasks.last_run import STATES, with_state
from scheduler_api.schedules.tables import KINDS

PAUSED = Q(enabled=False, managed__paused_at__isnull=False)


class PeriodicTaskFilter(django_filters.FilterSet):
    """Filters of the list; several are combined with AND."""

    enabled = FlagFilter(method="is_enabled", help_text="Whether the periodic task is enabled.")
    paused = FlagFilter(method="is_paused", help_text="Whether the periodic task is paused.")
    one_off = FlagFilter(help_text="Whether only the first slot runs.")
    name = NameFilter(help_text="Exact name.")
    task = NameFilter(help_text="Exact name of the task.")
    queue = TextFilter(help_text="Exact name of the queue.")
    search = TextFilter(
        method="contains",
        help_text="Part of the name, the task name or the description; case does not matter.",
    )
    label = TextFilter(method="has_labels", help_text=FILTER_HELP)
    schedule_type = django_filters.ChoiceFilter(
        method="follows",
        choices=[(kind, kind) for kind in KINDS],
        help_text="Kind of schedule.",
    )
    interval = IdFilter(help_text="ID of the interval schedule.")
    crontab = IdFilter(help_text="ID of the crontab schedule.")
    solar = IdFilter(help_text="ID of the solar schedule.")
    clocked = IdFilter(help_text="ID of the clocked schedule.")
    has_error = FlagFilter(method="is_in_error", help_text="Whether `last_error` is set.")
    last_run_state = ChoicesFilter(
        method="has_last_run",
        choices=STATES.choices,
        help_text="State of the newest run; several states separated by commas, or as repeated "
        "parameters.",
    )
    last_run_at_after = InstantFilter(
        field_name="last_run_at",
        lookup_expr="gte",
        help_text="Only periodic tasks that last ran at or after this time.",
    )
    last_run_at_before = InstantFilter(
        field_name="last_run_at",
        lookup_expr="lt",
        help_text="Only periodic tasks that last ran before this time.",
    )
    date_changed_after = InstantFilter(
        field_name="date_changed",
        lookup_expr="gte",
        help_text="Only periodic tasks changed at or after this time.",
    )
    date_changed_before = InstantFilter(
        field_name="date_changed",
        lookup_expr="lt",
        help_text="Only periodic tasks changed before this time.",
    )

    class Meta:
        model = PeriodicTask
        fields: ClassVar[list[str]] = []

    def is_enabled(self, rows: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        """Select the tasks that are enabled, apart from a pause, or the others."""
        will_be = PAUSED & Q(managed__enabled_on_resume=True)
        if value:
            return rows.filter(Q(enabled=True) | will_be)
        return rows.filter(enabled=False).exclude(will_be)

    def is_paused(self, rows: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        """Select the paused tasks, or the others."""
        return rows.filter(PAUSED) if value else rows.exclude(PAUSED)

    def is_in_error(self, rows: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        """Select the tasks that beat fails to plan or send, or the others."""
        if value:
            return rows.filter(agenda__last_error__gt="")
        return rows.filter(Q(agenda=None) | Q(agenda__last_error=""))

    def has_last_run(self, rows: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        """Select the tasks whose newest run is in one of these states."""
        return with_state(rows, value) if value else rows

    def contains(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Search in three columns, case-insensitively."""
        return rows.filter(
            Q(name__icontains=value) | Q(task__icontains=value) | Q(description__icontains=value)
        )

    def has_labels(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Select by labels, all of which must match."""
        return filter_by_labels(rows, value, column="managed__labels")

    def follows(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Select by the type of the schedule."""
        return rows.filter(**{f"{value}__isnull": False})
