"""What others may want to hear of runs, kept until they were told."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import models

from scheduler_api.runs.models import Run

# For so long an event waits for somebody to tell others.
PATIENCE = timedelta(days=3)


class RunEvent(models.Model):
    """Something that came of a run, written in the transaction that made it so.

    It waits here for whoever tells others. Like the run, it outlives the periodic task.
    """

    class Kind(models.TextChoices):
        """What has happened."""

        FAILED = "run.failed"
        RECOVERED = "run.recovered"  # the first success after failures
        MISSED = "run.missed"
        LOST = "run.lost"
        PAUSED = "periodic_task.paused"  # after so many failures in a row

    kind = models.CharField(max_length=32, choices=Kind)
    run_id = models.UUIDField(help_text="The run of which it tells.")
    periodic_task_id = models.IntegerField()
    owner_id = models.BigIntegerField(null=True, help_text="The account whose run it is.")
    at = models.DateTimeField(help_text="When it happened.")

    objects = models.Manager["RunEvent"]()

    def __str__(self) -> str:
        return f"{self.kind} {self.run_id}"


class FailureStreak(models.Model):
    """A periodic task whose latest runs have failed or were lost; it goes with a success."""

    periodic_task_id = models.IntegerField(primary_key=True)
    failures = models.PositiveIntegerField(
        help_text="How many in a row, since the last success or the last pause for it."
    )
    first_failed_at = models.DateTimeField(help_text="When the first of them ended.")

    objects = models.Manager["FailureStreak"]()

    def __str__(self) -> str:
        return f"{self.failures} failures of {self.periodic_task_id} since {self.first_failed_at}"


def tell(kind: RunEvent.Kind, runs: Iterable[Run], *, at: datetime) -> None:
    """Note that something came of runs, in the transaction that has made it so."""
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
    """Delete what nobody has told others in time."""
    RunEvent.objects.filter(at__lt=at - PATIENCE).delete()
