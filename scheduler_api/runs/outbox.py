"""What is to be published: beat takes it from here, and what a crash leaves stays here."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, models

from scheduler_api.periodic_tasks.triggers.postgresql import CHANNEL


class Outbox(models.Model):
    """A batch of runs that are to be published, or are being published.

    It goes when the broker has answered for each. What a crash leaves here is published again,
    under the same ids. One row for many runs: the ledger needs no index of what is pending.
    """

    run_ids = models.JSONField(help_text="The ids of the runs, in the order of their claim.")
    created_at = models.DateTimeField()
    retry_at = models.DateTimeField(db_index=True, help_text="When to publish again what is left.")

    objects = models.Manager["Outbox"]()

    def __str__(self) -> str:
        return f"{len(self.run_ids)} runs since {self.created_at}"


def put_out(run_ids: Sequence[str], *, now: datetime, retry_at: datetime) -> int:
    """Note that runs are to be published, by `retry_at` at the latest; return the batch's id."""
    batch = Outbox.objects.create(run_ids=list(run_ids), created_at=now, retry_at=retry_at)
    return batch.pk


def wake_beat() -> None:
    """Let beat look at once when this transaction is over; elsewhere it looks each second."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")
