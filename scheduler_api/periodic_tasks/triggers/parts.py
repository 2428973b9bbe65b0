"""What the triggers look at, and the parts they are made of."""

import re
from dataclasses import dataclass

from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from scheduler_api.periodic_tasks.models import ManagedTask

TASKS = PeriodicTask._meta.db_table
HALVES = ManagedTask._meta.db_table
SCHEDULES = {
    "interval": IntervalSchedule._meta.db_table,
    "crontab": CrontabSchedule._meta.db_table,
    "solar": SolarSchedule._meta.db_table,
    "clocked": ClockedSchedule._meta.db_table,
}

# The columns of a definition: when one of these changes, beat looks at the task again.
TASK_COLUMNS = [
    "name",
    "task",
    "interval_id",
    "crontab_id",
    "solar_id",
    "clocked_id",
    "args",
    "kwargs",
    "queue",
    "exchange",
    "routing_key",
    "headers",
    "priority",
    "expires",
    "expire_seconds",
    "one_off",
    "start_time",
    "enabled",
]
SCHEDULE_COLUMNS = {
    "interval": ["every", "period"],
    "crontab": ["minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone"],
    "solar": ["event", "latitude", "longitude"],
    "clocked": ["clocked_time"],
}

PREFIX = "scheduler_api_"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A trigger or a function: what makes it, and the essence of what the database tells of it."""

    name: str
    sql: str
    essence: str


def essence_of(sql: str) -> str:
    """Reduce SQL to what two ways to write the same statement have in common.

    A database tells of a trigger in its own words: with other spaces, parentheses, quotes and
    capitals, with types, and with the schema before the table.
    """
    bare = re.sub(r'[\s()";]+|::\w+', " ", sql.lower())
    qualified = rf"\b\w+\.(?=django_celery_beat_|{PREFIX})"
    return " ".join(re.sub(qualified, "", bare).split())
