"""Serializers of the four kinds of schedule, as resources or inline in a periodic task."""

from scheduler_api.schedules.serializers.clocked import (
    ClockedScheduleSerializer,
    InlineClockedSerializer,
)
from scheduler_api.schedules.serializers.crontab import (
    CrontabScheduleSerializer,
    InlineCrontabSerializer,
)
from scheduler_api.schedules.serializers.interval import (
    InlineIntervalSerializer,
    IntervalScheduleSerializer,
)
from scheduler_api.schedules.serializers.solar import (
    InlineSolarSerializer,
    SolarScheduleSerializer,
)

__all__ = [
    "INLINE_SERIALIZERS",
    "ClockedScheduleSerializer",
    "CrontabScheduleSerializer",
    "IntervalScheduleSerializer",
    "SolarScheduleSerializer",
]

INLINE_SERIALIZERS = {
    "interval": InlineIntervalSerializer,
    "crontab": InlineCrontabSerializer,
    "solar": InlineSolarSerializer,
    "clocked": InlineClockedSerializer,
}
