"""Retention: runs are deleted by age, and by count per periodic task.

The transactions are short, and one call deletes a bounded number of runs, so that neither beat nor
a caller waits for it. The next call continues.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Max, Q, QuerySet

from scheduler_api.runs.models import Run

BATCH = 5_000
# 2,000,000 runs: called every ten minutes, that keeps up with 3,300 runs a second.
MAX_BATCHES = 400
MAX_TASKS = 10_000
# Younger runs stay, however many there are: if the clock steps back, their rows show beat that
# their slots were handled, and few messages wait for a worker longer than that.
YOUNGEST = timedelta(days=1)
# The outbox names the pending runs, and workers still report on the running ones.
UNFINISHED = (Run.State.PENDING, Run.State.RUNNING)

# Steps from one periodic task to the next by the index, and for each to its first row beyond the
# limit: it reads only that many entries of the index for each. Grouping by periodic task would
# read the whole ledger.
WITH_TOO_MANY = """
WITH RECURSIVE task (id) AS (
    SELECT MIN(periodic_task_id) FROM scheduler_api_run
    WHERE periodic_task_id >= %(low)s AND periodic_task_id < %(high)s
    UNION ALL
    SELECT (
        SELECT MIN(periodic_task_id) FROM scheduler_api_run
        WHERE periodic_task_id > task.id AND periodic_task_id < %(high)s
    ) FROM task WHERE task.id IS NOT NULL
)
SELECT met.id FROM (SELECT id FROM task WHERE id IS NOT NULL LIMIT %(most)s) AS met
WHERE EXISTS (
    SELECT 1 FROM scheduler_api_run WHERE periodic_task_id = met.id
    ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET %(kept)s
)
"""


def prune(
    *, at: datetime, older_than: timedelta, kept_per_task: int, max_batches: int = MAX_BATCHES
) -> int:
    """Delete runs that are too old, and the oldest beyond a count per periodic task.

    Return the number deleted. Pending and running runs stay. The count also spares runs of the
    last day, and runs created at the same time as the last one kept.
    """
    removed = 0
    for doomed in doomed_at(at, older_than=older_than, kept_per_task=kept_per_task):
        if not max_batches:
            break
        count = BATCH
        while count == BATCH and max_batches:
            count = delete_batch(doomed)
            removed += count
            max_batches -= 1
    return removed


def doomed_at(
    at: datetime, *, older_than: timedelta, kept_per_task: int
) -> Iterator[QuerySet[Run]]:
    """Yield the runs to delete: first by age, then by count, task by task."""
    finished = Run.objects.exclude(state__in=UNFINISHED)
    yield finished.filter(created_at__lt=at - older_than).order_by("created_at", "pk")
    groups = [Q(periodic_task_id=task_id) for task_id in with_too_many(kept_per_task)]
    for group in (*groups, *without_definition()):
        newest_first = Run.objects.filter(group).order_by("-created_at", "-pk")
        last_kept = newest_first.values_list("created_at", flat=True)[kept_per_task - 1 :]
        for created_at in last_kept[:1]:  # none if another call was faster
            yield finished.filter(group, created_at__lt=min(created_at, at - YOUNGEST))


def without_definition() -> Iterator[Q]:
    """Yield a condition for each account's runs without a periodic task.

    One account must not displace the runs of another.
    """
    runs = Q(periodic_task_id=None)
    owners = Run.objects.filter(runs).values_list("owner_id", flat=True).distinct()
    for owner_id in owners.order_by("owner_id"):
        yield runs & Q(owner_id=owner_id)


def with_too_many(kept: int) -> list[int]:
    """Return the periodic tasks, deleted ones too, with more runs than `kept`.

    One call looks at MAX_TASKS of them from a random start, so that each has its turn.
    """
    last = Run.objects.aggregate(last=Max("periodic_task_id"))["last"] or 0
    start = random.randint(0, last)  # noqa: S311 - no secret
    found: list[int] = []
    with connection.cursor() as cursor:
        for low, high in ((start, last + 1), (0, start)):
            bounds = {"low": low, "high": high, "kept": kept, "most": MAX_TASKS}
            cursor.execute(WITH_TOO_MANY, bounds)
            found += [task_id for (task_id,) in cursor.fetchall()]
    return found


@transaction.atomic
def delete_batch(doomed: QuerySet[Run]) -> int:
    """Delete a batch of these runs and return its size; skip rows that another call deletes."""
    batch = doomed.select_for_update(skip_locked=True).values("pk")[:BATCH]
    count, _ = Run.objects.filter(pk__in=batch).delete()
    return count
