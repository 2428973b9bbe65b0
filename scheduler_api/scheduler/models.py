"""What beat tells those who look whether it is well."""

import uuid

from django.db import models


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


class Repeat(models.Model):
    """A run whose message the broker seems to have lost, and that was sent again under its id."""

    run_id = models.UUIDField(primary_key=True)
    queue = models.CharField(max_length=255, help_text="Where it was sent.")
    count = models.PositiveIntegerField(help_text="How often.")
    again_at = models.DateTimeField(help_text="It is not sent again before.")

    objects = models.Manager["Repeat"]()

    def __str__(self) -> str:
        return f"{self.run_id}: {self.count}"
