"""Upcoming slots of all periodic tasks over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from scheduler_api.access.ownership import visible_to
from scheduler_api.access.permissions import account_of
from scheduler_api.access.scopes import Scope
from scheduler_api.http import fields
from scheduler_api.http.filtering import TextFilter
from scheduler_api.http.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Cursor
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.http.viewsets import ApiViewSet
from scheduler_api.periodic_tasks.examples import ANSWER
from scheduler_api.periodic_tasks.labels import FILTER_HELP, filter_by_labels
from scheduler_api.periodic_tasks.upcoming import (
    MAX_UNPLANNED,
    UpcomingSlot,
    has_too_many_unplanned,
    upcoming_of,
)
from scheduler_api.schedules.inline import InlineSchedule
from scheduler_api.schedules.tables import KINDS

DEFAULT_RANGE = timedelta(days=1)
ORDERING = "upcoming due_at"
# Greater than every id: a page that starts at a time excludes slots due at that very time.
MAX_ID = 2**63 - 1
EXAMPLE_PAGE: dict[str, Any] = {
    "until": "2027-03-28T02:00:00Z",
    "is_complete": True,
    "next": None,
    "results": [
        {
            "slot_at": "2027-03-28T01:00:30Z",
            "due_at": "2027-03-28T01:00:30Z",
            "periodic_task": 1,
            "periodic_task_name": ANSWER["name"],
            "task": ANSWER["task"],
            "schedule": ANSWER["schedule"],
        }
    ],
}


class UpcomingRunsQuery(StrictSerializer):
    """Query parameters: the range, the cursor and the page size."""

    after = fields.Instant(
        required=False, help_text="Only slots due after this time; defaults to now."
    )
    until = fields.Instant(
        required=False,
        help_text="Only slots due at or before this time; defaults to one day after the start.",
    )
    cursor = fields.Text(
        required=False, help_text="Start of the page, from `next` of another page."
    )
    page_size = fields.Digits(
        min_value=1,
        max_value=MAX_PAGE_SIZE,
        default=DEFAULT_PAGE_SIZE,
        help_text="Maximum number of slots per page.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the whole range; refuse an empty one."""
        after = attrs.get("after") or datetime.now(UTC)
        latest = datetime.max.replace(tzinfo=UTC)
        until = attrs.get("until") or after + min(DEFAULT_RANGE, latest - after)
        if until < after and "cursor" not in attrs:
            raise serializers.ValidationError(
                {"until": "Must be later than `after`, which defaults to now."},
                code="empty_range",
            )
        return {**attrs, "after": after, "until": until}


class UpcomingFilter(django_filters.FilterSet):
    """Filters of the periodic tasks."""

    task = TextFilter(help_text="Exact name of the task.")
    label = TextFilter(method="has_labels", help_text=FILTER_HELP)

    class Meta:
        model = PeriodicTask
        fields: ClassVar[list[str]] = []

    def has_labels(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Select by labels, all of which must match."""
        return filter_by_labels(rows, value, column="managed__labels")


class UpcomingRunSerializer(serializers.Serializer[UpcomingSlot]):
    """An upcoming slot of a periodic task."""

    slot_at = fields.Instant(read_only=True, help_text="The slot, in UTC.")
    due_at = fields.Instant(
        read_only=True, help_text="Time when beat sends the run: the slot plus its jitter."
    )
    periodic_task = fields.WholeNumber(
        read_only=True, source="task.pk", help_text="ID of the periodic task."
    )
    periodic_task_name = fields.Text(
        read_only=True, source="task.name", help_text="Name of the periodic task."
    )
    task = fields.Text(read_only=True, source="task.task", help_text="Name of the task.")
    schedule = InlineSchedule(read_only=True, help_text="Schedule of the periodic task.")


@extend_schema_serializer(
    examples=[OpenApiExample("The next hour", EXAMPLE_PAGE, response_only=True)]
)
class UpcomingRunsSerializer(serializers.Serializer[Any]):
    """A page of upcoming slots."""

    until = fields.Instant(read_only=True, help_text="End of the range: no slot is due later.")
    is_complete = fields.Flag(
        read_only=True,
        help_text="Whether all periodic tasks are included. False while beat has more than "
        f"{MAX_UNPLANNED:,} new or changed periodic tasks left to plan.",
    )
    next = serializers.URLField(
        read_only=True,
        allow_null=True,
        help_text="URL of the next page; null on the last page.",
    )
    results = UpcomingRunSerializer(
        many=True, read_only=True, help_text="The slots, ordered by due time."
    )


class UpcomingViewSet(ApiViewSet):
    """Upcoming slots of all periodic tasks."""

    resource = "upcoming slot"
    tag = "Periodic tasks"
    queryset = PeriodicTask.objects.select_related(*KINDS, "managed", "agenda")
    filterset_class = UpcomingFilter
    scopes: ClassVar = {"upcoming": Scope.PERIODIC_TASKS_READ}
    queries: ClassVar = {"upcoming": UpcomingRunsQuery}
    filtered_actions = frozenset({"upcoming"})

    def get_queryset(self) -> QuerySet[Any]:
        """Return the periodic tasks visible to the caller."""
        return super().get_queryset().filter(visible_to(account_of(self.request)))

    @extend_schema(operation_id="listUpcoming", filters=True, responses=UpcomingRunsSerializer)
    def upcoming(self, request: Request) -> Response:
        """List the upcoming slots of all periodic tasks.

        The slots are ordered by due time. A disabled periodic task has none. A periodic task
        that is paused until a given time has slots from then on. Follow `next` until it is null.
        """
        query = self.read_query()
        until, size = query["until"], query["page_size"]
        place = (query["after"], MAX_ID)
        if "cursor" in query:
            start = Cursor.decode(query["cursor"], ORDERING)
            place = (datetime.fromisoformat(start.value), int(start.pk))
        tasks = self.filter_queryset(self.get_queryset())
        found = upcoming_of(tasks, after=place, until=until, count=size + 1)
        page = found[:size]
        link = self.link(page[-1], until=until) if len(found) > size else None
        answer = {
            "until": until,
            "is_complete": not has_too_many_unplanned(tasks),
            "next": link,
            "results": page,
        }
        return Response(UpcomingRunsSerializer(answer).data)

    def link(self, last: UpcomingSlot, *, until: datetime) -> str:
        """Return the address of the page that starts after a slot."""
        value = last.due_at.isoformat()
        place = Cursor(ordering=ORDERING, value=value, pk=last.task.pk, backwards=False)
        here = self.request.build_absolute_uri()
        with_end = replace_query_param(here, "until", fields.in_utc(until))
        return str(replace_query_param(with_end, "cursor", place.encode()))
