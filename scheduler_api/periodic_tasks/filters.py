"""By what periodic tasks are found."""

from typing import Any, ClassVar

import django_filters
from django.db.models import Q, QuerySet
from django_celery_beat.models import PeriodicTask

from scheduler_api.http.filtering import FlagFilter, IdFilter, InstantFilter
from scheduler_api.schedules.rows import KINDS


class PeriodicTaskFilter(django_filters.FilterSet):
    """Filters of the list; several narrow it down together."""

    enabled = FlagFilter()
    one_off = FlagFilter()
    name = django_filters.CharFilter(help_text="The exact name.")
    task = django_filters.CharFilter(help_text="The exact name of the task.")
    queue = django_filters.CharFilter(help_text="The exact name of the queue.")
    search = django_filters.CharFilter(
        method="contains", help_text="Part of the name, the task's name or the description."
    )
    schedule_type = django_filters.ChoiceFilter(
        method="follows", choices=[(kind, kind) for kind in KINDS]
    )
    interval = IdFilter()
    crontab = IdFilter()
    solar = IdFilter()
    clocked = IdFilter()
    last_run_at_after = InstantFilter(field_name="last_run_at", lookup_expr="gte")
    last_run_at_before = InstantFilter(field_name="last_run_at", lookup_expr="lt")
    date_changed_after = InstantFilter(field_name="date_changed", lookup_expr="gte")
    date_changed_before = InstantFilter(field_name="date_changed", lookup_expr="lt")

    class Meta:
        model = PeriodicTask
        fields: ClassVar[list[str]] = []

    def contains(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Search, without regard to case."""
        return rows.filter(
            Q(name__icontains=value) | Q(task__icontains=value) | Q(description__icontains=value)
        )

    def follows(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Select by the kind of schedule."""
        return rows.filter(**{f"{value}__isnull": False})
