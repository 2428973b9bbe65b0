"""What beat keeps for itself, and for those who look whether it is well."""

import uuid

from django.db import models


class Outbox(models.Model):
    """A batch of runs that were claimed and are being published.

    It goes when the broker has answered for each. What a crash leaves here is published again,
    under the same ids. One row for many runs: the ledger needs no index of what is pending.
    """

    run_ids = models.JSONField(help_text="The ids of the runs, in the order of their claim.")
    created_at = models.DateTimeField()
    retry_at = models.DateTimeField(db_index=True, help_text="When to publish again what is left.")

    objects = models.Manager["Outbox"]()

    def __str__(self) -> str:
        return f"{len(self.run_ids)} runs since {self.created_at}"


class BeatHeartbeat(models.Model):
    """One beat process: that it lives, and how it is doing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    ticked_at = models.DateTimeField(help_text="When it last looked at the agenda.")
    lag_seconds = models.FloatField(
        default=0, help_text="How long what it took up last had been due."
    )
    trouble = models.TextField(default="", help_text="Why it cannot publish; empty when it can.")

    objects = models.Manager["BeatHeartbeat"]()

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"
