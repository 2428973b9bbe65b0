"""By what periodic tasks are found."""

from typing import Any, ClassVar

import django_filters
from django.db.models import Q, QuerySet
from django_celery_beat.models import PeriodicTask

from scheduler_api.http.filtering import FlagFilter, IdFilter, InstantFilter, TextFilter
from scheduler_api.periodic_tasks.labels import FILTER_HELP, filter_by_labels
from scheduler_api.schedules.tables import KINDS

PAUSED = Q(enabled=False, managed__paused_at__isnull=False)


class PeriodicTaskFilter(django_filters.FilterSet):
    """Filters of the list; several narrow it down together."""

    enabled = FlagFilter(method="is_enabled", help_text="Whether it is enabled.")
    paused = FlagFilter(method="is_paused", help_text="Whether it is paused.")
    one_off = FlagFilter(help_text="Whether it runs once only.")
    name = TextFilter(help_text="The exact name.")
    task = TextFilter(help_text="The exact name of the task.")
    queue = TextFilter(help_text="The exact name of the queue.")
    search = TextFilter(
        method="contains", help_text="Part of the name, the task's name or the description."
    )
    label = TextFilter(method="has_labels", help_text=FILTER_HELP)
    schedule_type = django_filters.ChoiceFilter(
        method="follows",
        choices=[(kind, kind) for kind in KINDS],
        help_text="The kind of schedule that it follows.",
    )
    interval = IdFilter(help_text="The id of the interval schedule that it follows.")
    crontab = IdFilter(help_text="The id of the crontab schedule that it follows.")
    solar = IdFilter(help_text="The id of the solar schedule that it follows.")
    clocked = IdFilter(help_text="The id of the clocked schedule that it follows.")
    has_error = FlagFilter(
        method="is_in_error", help_text="Whether beat cannot plan or send it: see `last_error`."
    )
    last_run_at_after = InstantFilter(
        field_name="last_run_at", lookup_expr="gte", help_text="Last run at this moment or later."
    )
    last_run_at_before = InstantFilter(
        field_name="last_run_at", lookup_expr="lt", help_text="Last run before this moment."
    )
    date_changed_after = InstantFilter(
        field_name="date_changed", lookup_expr="gte", help_text="Changed at this moment or later."
    )
    date_changed_before = InstantFilter(
        field_name="date_changed", lookup_expr="lt", help_text="Changed before this moment."
    )

    class Meta:
        model = PeriodicTask
        fields: ClassVar[list[str]] = []

    def is_enabled(self, rows: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        """Select those that run but for a pause, or the others."""
        will_be = PAUSED & Q(managed__enabled_on_resume=True)
        if value:
            return rows.filter(Q(enabled=True) | will_be)
        return rows.filter(enabled=False).exclude(will_be)

    def is_paused(self, rows: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        """Select those that are paused, or the others."""
        return rows.filter(PAUSED) if value else rows.exclude(PAUSED)

    def is_in_error(self, rows: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        """Select those that beat cannot plan or send, or the others."""
        if value:
            return rows.filter(agenda__last_error__gt="")
        return rows.filter(Q(agenda=None) | Q(agenda__last_error=""))

    def contains(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Search, without regard to case."""
        return rows.filter(
            Q(name__icontains=value) | Q(task__icontains=value) | Q(description__icontains=value)
        )

    def has_labels(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Select by labels, all of which must be there."""
        return filter_by_labels(rows, value, column="managed__labels")

    def follows(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Select by the kind of schedule."""
        return rows.filter(**{f"{value}__isnull": False})
