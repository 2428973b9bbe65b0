"""Statistics of runs: counts by state, durations and lateness.

A percentile is the nearest rank: of n values in ascending order, the value at position
ceil(n * p). Every database gives the same result: the statement does not use PostgreSQL's own
percentile functions, and rounds nothing before the end. The database sorts, in memory or on disk,
and returns a row per group.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import (
    Case,
    CharField,
    DurationField,
    Expression,
    ExpressionWrapper,
    F,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import TruncDay, TruncHour

from scheduler_api.runs.models import Run

DEFAULT_RANGE = timedelta(days=1)
MAX_RANGE = timedelta(days=31)
# The database sorts at most this number of runs for one response.
MAX_RUNS = 500_000
MAX_GROUPS = 2000
PERCENTILES = (50, 95)


class GroupBy(Enum):
    """The property by which runs are grouped."""

    PERIODIC_TASK = "periodic_task"
    TASK = "task"


class Bucket(Enum):
    """The length of the creation time range of a group."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Statistics of a group of runs; a run of several missed slots counts once per slot."""

    bucket_at: datetime | None
    periodic_task: int | None
    periodic_task_name: str | None
    task: str | None
    count: int
    states: dict[str, int]
    duration_seconds: dict[str, float | None]
    lateness_seconds: dict[str, float | None]


# `picked` has one row per run. SQLite sorts nulls first by default, PostgreSQL last.
STATEMENT = """
WITH picked (bucket, what, name, state, slots, duration, lateness) AS ({picked}),
ranked AS (
    SELECT bucket, what, name, state, slots, duration, lateness,
        row_number() OVER (
            PARTITION BY bucket, what ORDER BY duration IS NULL, duration
        ) AS duration_rank,
        count(duration) OVER (PARTITION BY bucket, what) AS durations,
        row_number() OVER (
            PARTITION BY bucket, what ORDER BY lateness IS NULL, lateness
        ) AS lateness_rank,
        count(lateness) OVER (PARTITION BY bucket, what) AS latenesses
    FROM picked
)
SELECT bucket, what, max(name), sum(slots), {states}, {durations}, {latenesses}
FROM ranked GROUP BY bucket, what ORDER BY bucket DESC, sum(slots) DESC, what LIMIT %s
"""
A_STATE = "coalesce(sum(slots) FILTER (WHERE state = '{state}'), 0)"
A_PERCENTILE = "max({value}) FILTER (WHERE {value}_rank = ({percent} * {value_count} + 99) / 100)"
PICKED = ("bucket", "what", "name", "state", "slots", "duration", "lateness")
NOTHING = Value(None, output_field=CharField())


def stats_of(
    runs: QuerySet[Run], *, group_by: GroupBy | None, bucket: Bucket | None
) -> tuple[list[Group], bool]:
    """Return at most MAX_GROUPS groups of runs, and whether the list is complete.

    The latest bucket comes first, and in each the largest group.
    """
    try:
        picked, params = picked_from(runs, group_by, bucket).query.sql_with_params()
    except EmptyResultSet:  # a filter that no run can pass
        return [], True
    statement = STATEMENT.format(
        picked=picked,
        states=", ".join(A_STATE.format(state=state) for state in Run.State.values),
        durations=percentiles_of("duration"),
        latenesses=percentiles_of("lateness"),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, (*params, MAX_GROUPS + 1))
        groups = [group_of(row, group_by) for row in cursor.fetchall()]
    return groups[:MAX_GROUPS], len(groups) <= MAX_GROUPS


def percentiles_of(value: str) -> str:
    """Return the columns with the percentiles of a value."""
    count = {"duration": "durations", "lateness": "latenesses"}[value]
    return ", ".join(
        A_PERCENTILE.format(value=value, value_count=count, percent=percent)
        for percent in PERCENTILES
    )


def picked_from(
    runs: QuerySet[Run], group_by: GroupBy | None, bucket: Bucket | None
) -> QuerySet[Run, Any]:
    """Return the columns that the statistics need of each run."""
    truncated = {Bucket.HOUR: TruncHour, Bucket.DAY: TruncDay}
    when = truncated[bucket]("created_at", tzinfo=UTC) if bucket else NOTHING
    of_task = group_by is GroupBy.PERIODIC_TASK
    columns: dict[str, Expression | F] = {
        "bucket": when,
        "what": F("periodic_task_id") if of_task else F("task") if group_by else NOTHING,
        "name": F("periodic_task_name") if of_task else NOTHING,
        "slots": F("slot_count"),
        "duration": between("started_at", "finished_at"),
        # A retried run has its first start overwritten, and a backfilled run is always late.
        "lateness": Case(
            When(
                Q(attempts=1) & ~Q(trigger=Run.Trigger.BACKFILL),
                then=between("due_at", "started_at"),
            )
        ),
    }
    return runs.order_by().annotate(**columns).values_list(*PICKED)


def between(start: str, end: str) -> Expression:
    """Return the time from one column to another."""
    return ExpressionWrapper(F(end) - F(start), output_field=DurationField())


def group_of(row: tuple[Any, ...], group_by: GroupBy | None) -> Group:
    """Read a row of the result."""
    values: Iterator[Any] = iter(row)
    bucket, what, name, count = (next(values) for _ in range(4))
    return Group(
        bucket_at=in_utc(bucket),
        periodic_task=what if group_by is GroupBy.PERIODIC_TASK else None,
        periodic_task_name=name,
        task=what if group_by is GroupBy.TASK else None,
        count=int(count),
        states={state: int(next(values)) for state in Run.State.values},
        duration_seconds=percentiles_in(values),
        lateness_seconds=percentiles_in(values),
    )


def percentiles_in(values: Iterator[Any]) -> dict[str, float | None]:
    """Read the percentiles of one measure."""
    return {f"p{percent}": in_seconds(next(values)) for percent in PERCENTILES}


def in_seconds(duration: timedelta | int | None) -> float | None:
    """Return a duration in seconds, to the millisecond; SQLite has it in microseconds.

    A negative duration becomes 0: clocks of machines differ.
    """
    if isinstance(duration, int):
        duration = timedelta(microseconds=duration)
    return None if duration is None else round(max(duration.total_seconds(), 0.0), 3)


def in_utc(bucket: datetime | str | None) -> datetime | None:
    """Return the start of a bucket; a database without time zones returns it as text."""
    if isinstance(bucket, str):
        bucket = datetime.fromisoformat(bucket)
    return None if bucket is None else bucket.replace(tzinfo=UTC)
