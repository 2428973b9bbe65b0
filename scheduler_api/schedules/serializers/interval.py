"""Serializers of intervals, stored or inline."""

from typing import Any, ClassVar

from django_celery_beat.models import IntervalSchedule
from drf_spectacular.utils import extend_schema_serializer

from scheduler_api.openapi.bodies import examples
from scheduler_api.schedules.serializers.base import (
    NEW_STORED_VALUES,
    STORED_FIELDS,
    ScheduleSerializer,
    StoredScheduleSerializer,
    TypeName,
)

LARGEST_INTEGER = 2**31 - 1


class InlineIntervalSerializer(ScheduleSerializer):
    """A fixed interval between slots, in elapsed time: from 1 second to 10 years."""

    type = TypeName("interval")

    class Meta:
        model = IntervalSchedule
        fields: ClassVar[tuple[str, ...]] = ("id", "type", "every", "period", "description")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "every": {
                "min_value": 1,
                "max_value": LARGEST_INTEGER,
                "help_text": "Number of periods from one slot to the next.",
            },
            "period": {"help_text": "Unit of `every`."},
        }


@extend_schema_serializer(
    examples=examples(
        "Interval",
        {"type": "interval", "every": 5, "period": "minutes"},
        changed="period",
        answer={
            "id": 1,
            "type": "interval",
            "every": 5,
            "period": "minutes",
            "description": "Every 5 minutes",
            **NEW_STORED_VALUES,
        },
    )
)
class IntervalScheduleSerializer(InlineIntervalSerializer, StoredScheduleSerializer):
    """A fixed interval between slots, in elapsed time: from 1 second to 10 years."""

    type = TypeName("interval", required=False)

    class Meta(InlineIntervalSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*InlineIntervalSerializer.Meta.fields, *STORED_FIELDS)
