"""The tables and columns that the triggers watch, and the SQL parts that make them up."""

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
MANAGED_TASKS = ManagedTask._meta.db_table
SCHEDULES = {
    "interval": IntervalSchedule._meta.db_table,
    "crontab": CrontabSchedule._meta.db_table,
    "solar": SolarSchedule._meta.db_table,
    "clocked": ClockedSchedule._meta.db_table,
}

# The columns of a definition: a change of one of these makes beat plan the task again.
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
    """A trigger or a function: the SQL that creates it, and that SQL normalized for comparison."""

    name: str
    sql: str
    normalized_sql: str


def normalize(sql: str) -> str:
    """Reduce SQL so that two spellings of the same statement become equal.

    A database returns the definition of a trigger with different spaces, parentheses, quotes and
    case, with type casts, and with the schema before the table.
    """
    bare = re.sub(r'[\s()";]+|::\w+', " ", sql.lower())
    qualified = rf"\b\w+\.(?=django_celery_beat_|{PREFIX})"
    return " ".join(re.sub(qualified, "", bare).split())
