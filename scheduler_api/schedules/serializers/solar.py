"""Solar schedules in JSON, by themselves or inline."""

from decimal import Decimal
from typing import Any, ClassVar

from django_celery_beat.models import SolarSchedule
from drf_spectacular.utils import extend_schema_serializer

from scheduler_api.http import fields
from scheduler_api.openapi.bodies import examples
from scheduler_api.schedules.serializers.base import (
    NEW_STORED_VALUES,
    STORED_FIELDS,
    ScheduleSerializer,
    StoredScheduleSerializer,
    TypeName,
)


class InlineSolarSerializer(ScheduleSerializer):
    """When the sun rises, sets or stands highest at a place, or it dawns or darkens there."""

    type = TypeName("solar")
    latitude = fields.Number(
        min_value=-90, max_value=90, help_text="Degrees north of the equator."
    )
    longitude = fields.Number(
        min_value=-180, max_value=180, help_text="Degrees east of Greenwich."
    )

    class Meta:
        model = SolarSchedule
        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "type",
            "event",
            "latitude",
            "longitude",
            "description",
        )
        extra_kwargs: ClassVar[dict[str, Any]] = {"event": {"help_text": "What the sun does."}}
        validators: ClassVar[list[Any]] = []  # equal ones are reused, or refused by the action

    def to_columns(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Round to the six decimals (11 cm) that the table holds."""
        degrees = {
            name: round(Decimal(str(attrs[name])), 6)
            for name in ("latitude", "longitude")
            if name in attrs
        }
        return attrs | degrees


@extend_schema_serializer(
    examples=examples(
        "Solar",
        {"type": "solar", "event": "sunset", "latitude": 52.52, "longitude": 13.405},
        changed="event",
        answer={
            "id": 1,
            "type": "solar",
            "event": "sunset",
            "latitude": 52.52,
            "longitude": 13.405,
            "description": "At sunset at latitude 52.52, longitude 13.405",
            **NEW_STORED_VALUES,
        },
    )
)
class SolarScheduleSerializer(InlineSolarSerializer, StoredScheduleSerializer):
    """When the sun rises, sets or stands highest at a place, or it dawns or darkens there."""

    type = TypeName("solar", required=False)

    class Meta(InlineSolarSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*InlineSolarSerializer.Meta.fields, *STORED_FIELDS)
