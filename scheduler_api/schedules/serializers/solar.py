"""Serializers of solar schedules, stored or inline."""

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
    """Slots at a solar event at a location: dawn, sunrise, solar noon, sunset or dusk."""

    type = TypeName("solar")
    latitude = fields.Number(
        min_value=-90,
        max_value=90,
        help_text="Latitude in degrees north of the equator, stored to six decimals.",
    )
    longitude = fields.Number(
        min_value=-180,
        max_value=180,
        help_text="Longitude in degrees east of Greenwich, stored to six decimals.",
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
        extra_kwargs: ClassVar[dict[str, Any]] = {"event": {"help_text": "Solar event."}}
        # No unique validator: an equal inline schedule is reused, an equal stored one refused.
        validators: ClassVar[list[Any]] = []

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
    """Slots at a solar event at a location: dawn, sunrise, solar noon, sunset or dusk."""

    type = TypeName("solar", required=False)

    class Meta(InlineSolarSerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*InlineSolarSerializer.Meta.fields, *STORED_FIELDS)
