"""How long runs are kept: they leave the ledger by age, and by count per periodic task.

They are deleted in short transactions, and no call deletes more than so many: neither beat nor
a caller waits for it, and what is left is for the next call.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from scheduler_api.runs.models import Run

BATCH = 5_000
# 2,000,000 runs: called every ten minutes, that is as much as 3,300 runs a second bring in.
MAX_BATCHES = 400
MAX_TASKS = 10_000
# What is younger stays, however many there are: by its row beat knows that a slot was served when
# the clock steps back, and a message that waits for a worker so long is rare.
YOUNGEST = timedelta(days=1)
# What waits to be sent is named in the outbox; what runs is yet to be told of.
UNFINISHED = (Run.State.PENDING, Run.State.RUNNING)

# Goes from one periodic task to the next by the index, and for each to the row that is one too
# many: it reads no more of the index than so many rows of each. To group the whole ledger by
# periodic task would read all of it.
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
    """Delete the runs that are too old, and of each periodic task those that are too many.

    Return how many. Those that wait to be sent or that run stay, and so do, of what is too many,
    those of the last day and those that were entered at the same moment as the last one kept.
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
    """Yield the runs that are to go: what is too old, then what is too many, task by task."""
    finished = Run.objects.exclude(state__in=UNFINISHED)
    yield finished.filter(created_at__lt=at - older_than).order_by("created_at", "pk")
    for task_id in with_too_many(kept_per_task):
        newest_first = Run.objects.filter(periodic_task_id=task_id).order_by("-created_at", "-pk")
        last_kept = newest_first.values_list("created_at", flat=True)[kept_per_task - 1 :]
        for created_at in last_kept[:1]:  # none where another call was quicker
            yield finished.filter(
                periodic_task_id=task_id, created_at__lt=min(created_at, at - YOUNGEST)
            )


def with_too_many(kept: int) -> list[int]:
    """Return the periodic tasks, deleted ones too, of which there are more runs than so many.

    Where there are more tasks than one call looks at, it looks at others each time.
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
    """Delete some of these runs, and return how many; what another call deletes is passed over."""
    batch = doomed.select_for_update(skip_locked=True).values("pk")[:BATCH]
    count, _ = Run.objects.filter(pk__in=batch).delete()
    return count
