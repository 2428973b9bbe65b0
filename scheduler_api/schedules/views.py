"""Views of schedules: four kinds stored, and the preview."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db.models import Count, IntegerField, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from scheduler_api.access.ownership import visible_to
from scheduler_api.access.permissions import account_of, caller_of
from scheduler_api.access.scopes import Scope, crud
from scheduler_api.http.viewsets import ApiViewSet, CrudViewSet
from scheduler_api.schedules import actions
from scheduler_api.schedules.errors import InvalidSchedule
from scheduler_api.schedules.models import ScheduleRevision
from scheduler_api.schedules.preview import (
    PreviewSerializer,
    UpcomingQuery,
    UpcomingSerializer,
    moment_or_now,
    serialize_never,
    serialize_upcoming,
)
from scheduler_api.schedules.serializers import (
    ClockedScheduleSerializer,
    CrontabScheduleSerializer,
    IntervalScheduleSerializer,
    SolarScheduleSerializer,
)
from scheduler_api.schedules.slots import upcoming
from scheduler_api.schedules.tables import KIND_OF_MODEL, schedule_of


class ScheduleViewSet(CrudViewSet):
    """Schedules of one kind. Any number of periodic tasks can share a schedule."""

    tag = "Schedules"
    scopes: ClassVar = {
        **crud(read=Scope.SCHEDULES_READ, write=Scope.SCHEDULES_WRITE),
        "upcoming": Scope.SCHEDULES_READ,
    }
    queries: ClassVar = {"upcoming": UpcomingQuery}
    volatile_fields = frozenset({"used_by", "used_by_count"})
    has_slots = True
    has_shared_rows = True
    problems: ClassVar = {
        "update": (actions.ScheduleUsedByOthers,),
        "partial_update": (actions.ScheduleUsedByOthers,),
        "destroy": (actions.ScheduleInUse,),
    }

    def get_queryset(self) -> QuerySet[Any]:
        """Return the schedules and the periodic tasks that use them, in two queries."""
        schedules = super().get_queryset()
        reference = KIND_OF_MODEL[schedules.model].name
        visible = PeriodicTask.objects.filter(visible_to(account_of(self.request)))
        followers = visible.filter(**{reference: OuterRef("pk")}).order_by()
        count = followers.values(reference).values(count=Count("pk"))
        names = visible.only("name", reference).order_by("name")
        revisions = ScheduleRevision.objects.filter(kind=reference, schedule_id=OuterRef("pk"))
        annotated: QuerySet[Any] = schedules.annotate(
            revision=Coalesce(Subquery(revisions.values("revision")), 1),
            used_by_count=Coalesce(Subquery(count, output_field=IntegerField()), 0),
        ).prefetch_related(
            Prefetch("periodictask_set", names[: actions.NAMES_SHOWN], to_attr="followers")
        )
        return annotated

    def store(self, serializer: Any) -> Any:
        """Save the row that the serializer created or changed."""
        actions.store(serializer.row, by=caller_of(self.request))
        return serializer.row

    def refuse_change(self, serializer: Any) -> None:
        """Raise what forbids the caller to change a schedule."""
        actions.refuse_change(serializer.row, by=caller_of(self.request))

    def remove(self, row: Any) -> None:
        """Delete a schedule that no periodic task uses."""
        actions.delete(row, by=caller_of(self.request))

    def refuse_removal(self, row: Any) -> None:
        """Raise ScheduleInUse if a periodic task uses a schedule."""
        actions.refuse_removal(row, by=caller_of(self.request))

    def slots_of(self, row: Any, *, count: int) -> list[datetime]:
        """Return the slots of a periodic task that starts to use the schedule now."""
        now = datetime.now(UTC)
        try:
            return upcoming(schedule_of(row, anchor=now), after=now, count=count)
        # Another program wrote an invalid row, and this request changes something else.
        except InvalidSchedule:
            return []

    @extend_schema(responses=UpcomingSerializer)
    @action(detail=True)
    def upcoming(self, request: Request, **address: str) -> Response:
        """List the upcoming slots of a schedule.

        An interval starts at `after`: only a periodic task has a start of its own.
        """
        query = self.read_query()
        after = moment_or_now(query.get("after"))
        try:
            schedule = schedule_of(self.get_object(), anchor=after)
        except InvalidSchedule as error:
            return Response(serialize_never(error))
        return Response(
            serialize_upcoming(schedule, upcoming(schedule, after=after, count=query["count"]))
        )


class IntervalScheduleViewSet(ScheduleViewSet):
    """Schedules with a fixed interval between slots."""

    resource = "interval schedule"
    queryset = IntervalSchedule.objects.all()
    serializer_class = IntervalScheduleSerializer


class CrontabScheduleViewSet(ScheduleViewSet):
    """Schedules with slots at wall-clock times of a time zone."""

    resource = "crontab schedule"
    queryset = CrontabSchedule.objects.all()
    serializer_class = CrontabScheduleSerializer


class SolarScheduleViewSet(ScheduleViewSet):
    """Schedules with slots at solar events such as sunrise."""

    resource = "solar schedule"
    queryset = SolarSchedule.objects.all()
    serializer_class = SolarScheduleSerializer
    problems: ClassVar = {
        **ScheduleViewSet.problems,
        "create": (actions.ScheduleExists,),
        "update": (actions.ScheduleExists, actions.ScheduleUsedByOthers),
        "partial_update": (actions.ScheduleExists, actions.ScheduleUsedByOthers),
    }


class ClockedScheduleViewSet(ScheduleViewSet):
    """Schedules with a single slot."""

    resource = "clocked schedule"
    queryset = ClockedSchedule.objects.all()
    serializer_class = ClockedScheduleSerializer


class PreviewViewSet(ApiViewSet):
    """Schedules to preview without storing them."""

    resource = "schedule"
    tag = "Schedules"
    serializer_class = PreviewSerializer
    scopes: ClassVar = {"preview": Scope.SCHEDULES_READ}
    safe_actions = frozenset({"preview"})

    @extend_schema(responses=UpcomingSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """Preview the slots of a schedule.

        The schedule is not stored. An interval starts at `after`.
        """
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        query = serializer.validated_data
        after = moment_or_now(query.get("after"))
        schedule = schedule_of(query["schedule"], anchor=after)
        return Response(
            serialize_upcoming(schedule, upcoming(schedule, after=after, count=query["count"]))
        )
