"""The outbox: batches of runs to publish, which beat takes and which survive a crash."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, models

from scheduler_api.periodic_tasks.triggers.postgresql import CHANNEL


class Outbox(models.Model):
    """A batch of runs to publish, or being published.

    It is deleted when the broker has answered for each run. A batch that a crash leaves here is
    published again, under the same ids. It is one row for many runs, so that the ledger needs no
    index of pending runs.
    """

    run_ids = models.JSONField(help_text="The ids of the runs, in the order of their claim.")
    created_at = models.DateTimeField()
    retry_at = models.DateTimeField(db_index=True, help_text="When to publish again what is left.")

    objects = models.Manager["Outbox"]()

    def __str__(self) -> str:
        return f"{len(self.run_ids)} runs since {self.created_at}"


def enqueue(run_ids: Sequence[str], *, now: datetime, retry_at: datetime) -> int:
    """Add a batch, to be published at `retry_at` at the latest; return its id."""
    batch = Outbox.objects.create(run_ids=list(run_ids), created_at=now, retry_at=retry_at)
    return batch.pk


def wake_beat() -> None:
    """Wake beat after this transaction; databases without NOTIFY are polled each second."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")
