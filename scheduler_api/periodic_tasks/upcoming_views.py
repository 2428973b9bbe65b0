"""What is to come of all periodic tasks, over HTTP."""

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
from scheduler_api.http.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Place
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.http.viewsets import ApiViewSet
from scheduler_api.periodic_tasks.examples import ANSWER
from scheduler_api.periodic_tasks.labels import FILTER_HELP, filter_by_labels
from scheduler_api.periodic_tasks.upcoming import (
    MAX_UNPLANNED,
    Upcoming,
    has_too_many_unplanned,
    upcoming_of,
)
from scheduler_api.schedules.inline import InlineSchedule
from scheduler_api.schedules.tables import KINDS

DEFAULT_RANGE = timedelta(days=1)
ORDERING = "due_at"
# Beyond every periodic task: a page that begins at a moment has nothing of that moment itself.
THE_LAST = 2**63 - 1
SHOWN: dict[str, Any] = {
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
    """Of which time, and how many."""

    after = fields.Instant(
        required=False, help_text="Due later than this moment; by default, than now."
    )
    until = fields.Instant(
        required=False,
        help_text="Due at this moment at the latest; by default, a day after the beginning.",
    )
    cursor = fields.Text(
        required=False, help_text="Where the page begins, from the link of another page."
    )
    page_size = fields.Digits(
        min_value=1,
        max_value=MAX_PAGE_SIZE,
        default=DEFAULT_PAGE_SIZE,
        help_text="How many slots a page has.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the whole range; refuse one that is empty."""
        after = attrs.get("after") or datetime.now(UTC)
        latest = datetime.max.replace(tzinfo=UTC)
        until = attrs.get("until") or after + min(DEFAULT_RANGE, latest - after)
        if until < after and "cursor" not in attrs:
            raise serializers.ValidationError(
                {"until": "Must be after the beginning, which is now by default."},
                code="empty_range",
            )
        return {**attrs, "after": after, "until": until}


class UpcomingFilter(django_filters.FilterSet):
    """Filters of the periodic tasks whose slots are told."""

    task = TextFilter(help_text="The exact name of the task.")
    label = TextFilter(method="has_labels", help_text=FILTER_HELP)

    class Meta:
        model = PeriodicTask
        fields: ClassVar[list[str]] = []

    def has_labels(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Select by labels, all of which must be there."""
        return filter_by_labels(rows, value, column="managed__labels")


class UpcomingRunSerializer(serializers.Serializer[Upcoming]):
    """A slot that is to come."""

    slot_at = fields.Instant(read_only=True, help_text="The slot, in UTC.")
    due_at = fields.Instant(
        read_only=True, help_text="When beat takes it up: the slot and its jitter."
    )
    periodic_task = fields.WholeNumber(
        read_only=True, source="task.pk", help_text="The id of the periodic task."
    )
    periodic_task_name = fields.Text(
        read_only=True, source="task.name", help_text="The name of the periodic task."
    )
    task = fields.Text(read_only=True, source="task.task", help_text="The name of the task.")
    schedule = InlineSchedule(read_only=True, help_text="The schedule that it follows.")


@extend_schema_serializer(examples=[OpenApiExample("Of the next hour", SHOWN, response_only=True)])
class UpcomingRunsSerializer(serializers.Serializer[Any]):
    """One page of the slots to come."""

    until = fields.Instant(read_only=True, help_text="They are due at this moment at the latest.")
    is_complete = fields.Flag(
        read_only=True,
        help_text="Whether no periodic task is left out: beat has yet to plan "
        f"{MAX_UNPLANNED:,} at most of them, that were made or changed a moment ago.",
    )
    next = serializers.URLField(
        read_only=True, allow_null=True, help_text="The next page; null on the last one."
    )
    results = UpcomingRunSerializer(
        many=True, read_only=True, help_text="The slots, in the order in which they are due."
    )


class UpcomingViewSet(ApiViewSet):
    """What is to come of all periodic tasks."""

    resource = "upcoming slot"
    tag = "Periodic tasks"
    queryset = PeriodicTask.objects.select_related(*KINDS, "managed", "agenda")
    filterset_class = UpcomingFilter
    scopes: ClassVar = {"upcoming": Scope.PERIODIC_TASKS_READ}
    queries: ClassVar = {"upcoming": UpcomingRunsQuery}
    filtered = frozenset({"upcoming"})

    def get_queryset(self) -> QuerySet[Any]:
        """Return the periodic tasks that the caller may see; others are not there."""
        return super().get_queryset().filter(visible_to(account_of(self.request)))

    @extend_schema(operation_id="listUpcoming", filters=True, responses=UpcomingRunsSerializer)
    def upcoming(self, request: Request) -> Response:
        """Tell the next slots of all periodic tasks.

        In the order in which they are due, of those that are enabled; of one that is paused until
        a moment, from then on. Follow `next` until it is null.
        """
        query = self.read_query()
        until, size = query["until"], query["page_size"]
        place = (query["after"], THE_LAST)
        if "cursor" in query:
            start = Place.of_cursor(query["cursor"], ORDERING)
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

    def link(self, last: Upcoming, *, until: datetime) -> str:
        """Return the address of the page that begins after a slot."""
        value = last.due_at.isoformat()
        place = Place(ordering=ORDERING, value=value, pk=last.task.pk, backwards=False)
        here = self.request.build_absolute_uri()
        with_end = replace_query_param(here, "until", fields.in_utc(until))
        return str(replace_query_param(with_end, "cursor", place.as_cursor()))
