"""Serializers of clocked schedules, stored or inline."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django_celery_beat.models import ClockedSchedule
from drf_spectacular.utils import extend_schema_serializer

from scheduler_api.openapi.bodies import examples
from scheduler_api.schedules.serializers.base import (
    NEW_STORED_VALUES,
    STORED_FIELDS,
    ScheduleSerializer,
    StoredScheduleSerializer,
    TypeName,
)


class InlineClockedSerializer(ScheduleSerializer):
    """A single slot at a given time."""

    type = TypeName("clocked")

    class Meta:
        model = ClockedSchedule
        fields: ClassVar[tuple[str, ...]] = ("id", "type", "clocked_time", "description")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "clocked_time": {"help_text": "Time of the slot."}
        }

    def error_field(self, field: str, attrs: Mapping[str, Any]) -> str:
        """Return the only field."""
        return "clocked_time"


@extend_schema_serializer(
    examples=examples(
        "Clocked",
        {"type": "clocked", "clocked_time": "2030-01-01T00:00:00Z"},
        changed="clocked_time",
        answer={
            "id": 1,
            "type": "clocked",
            "clocked_time": "2030-01-01T00:00:00Z",
            "description": "Once, at 2030-01-01 00:00:00 UTC",
            **NEW_STORED_VALUES,
        },
    )
)
class ClockedScheduleSerializer(InlineClockedSerializer, StoredScheduleSerializer):
    """A single slot at a given time."""

    type = TypeName("clocked", required=False)

    class Meta(InlineClockedSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*InlineClockedSerializer.Meta.fields, *STORED_FIELDS)
