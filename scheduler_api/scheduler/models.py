"""Beat's health, and the messages that beat published again."""

import uuid

from django.db import models


class BeatHeartbeat(models.Model):
    """The state of one beat process, as it last reported it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    ticked_at = models.DateTimeField(help_text="When it last read the agenda.")
    lag_seconds = models.FloatField(
        default=0, help_text="Delay between due time and claim in the last batch."
    )
    publish_error = models.TextField(
        default="", help_text="Why it cannot publish messages; empty when it can."
    )
    queue_mismatches = models.JSONField(
        default=list, help_text="Queues that exist with other arguments than ours."
    )

    objects = models.Manager["BeatHeartbeat"]()

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Republication(models.Model):
    """A message that the broker seems to have lost, and that beat republished under its id."""

    run_id = models.UUIDField(primary_key=True)
    queue = models.CharField(max_length=255, help_text="The queue of the message.")
    count = models.PositiveIntegerField(help_text="Number of times the message was republished.")
    not_before_at = models.DateTimeField(
        help_text="The message is not republished again before this time."
    )

    objects = models.Manager["Republication"]()

    def __str__(self) -> str:
        return f"{self.run_id}: {self.count}"
