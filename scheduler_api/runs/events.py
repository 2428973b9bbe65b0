"""Events of runs, kept until the webhooks have them, and the failures in a row of each task."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import models

from scheduler_api.runs.models import Run

# If no webhook sender runs for this long, an event is deleted.
EVENT_RETENTION = timedelta(days=3)


class RunEvent(models.Model):
    """An event of a run, written in the transaction that caused it.

    The webhook sender reads and deletes it. Like the run, it outlives the periodic task.
    """

    class Kind(models.TextChoices):
        """The kind of an event."""

        FAILED = "run.failed"
        RECOVERED = "run.recovered"  # the first success after failures
        MISSED = "run.missed"
        LOST = "run.lost"
        PAUSED = "periodic_task.paused"  # by `pause_after_failures`

    kind = models.CharField(max_length=32, choices=Kind)
    run_id = models.UUIDField(help_text="The run that the event is about.")
    periodic_task_id = models.IntegerField(null=True)
    owner_id = models.BigIntegerField(
        null=True, help_text="The account that owns the run; null if unowned."
    )
    at = models.DateTimeField(help_text="When it happened.")

    objects = models.Manager["RunEvent"]()

    def __str__(self) -> str:
        return f"{self.kind} {self.run_id}"


class FailureStreak(models.Model):
    """A periodic task with failed or lost runs in a row; a success deletes the row."""

    periodic_task_id = models.IntegerField(primary_key=True)
    failures = models.PositiveIntegerField(
        help_text="Failures in a row since the last success or the last pause because of them."
    )
    first_failed_at = models.DateTimeField(help_text="When the first of these runs ended.")

    objects = models.Manager["FailureStreak"]()

    def __str__(self) -> str:
        return f"{self.failures} failures of {self.periodic_task_id} since {self.first_failed_at}"


def record_event(kind: RunEvent.Kind, runs: Iterable[Run], *, at: datetime) -> None:
    """Record an event of each run, in the transaction that caused it."""
    RunEvent.objects.bulk_create(
        RunEvent(
            kind=kind,
            run_id=run.pk,
            periodic_task_id=run.periodic_task_id,
            owner_id=run.owner_id,
            at=at,
        )
        for run in runs
    )


def forget(*, at: datetime) -> None:
    """Delete events that no webhook sender took in time."""
    RunEvent.objects.filter(at__lt=at - EVENT_RETENTION).delete()
