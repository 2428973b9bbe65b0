"""By what runs are found."""

from typing import ClassVar

import django_filters
from django.db.models import QuerySet

from scheduler_api.http.filtering import ChoicesFilter, IdFilter, InstantFilter, TextFilter
from scheduler_api.runs.models import Run


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

    class Meta:
        model = Run
        fields: ClassVar[list[str]] = []


class RunFilter(RunsOfPeriodicTaskFilter):
    """Filters of all runs."""

    periodic_task = IdFilter(
        field_name="periodic_task_id",
        lookup_expr="exact",
        help_text="The id of the periodic task, which may be deleted since.",
    )
