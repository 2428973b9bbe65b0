"""The agenda: the next slot and due time of each periodic task, which beat works through."""

from django.db import models
from django_celery_beat.models import PeriodicTask


class Agenda(models.Model):
    """The agenda row of a periodic task. Beat writes it; database triggers mark it stale.

    Triggers also insert the row with the task and delete it with the task, however the task is
    written. So the reference has no constraint: a raw DELETE of the task would violate it.
    """

    periodic_task = models.OneToOneField(
        PeriodicTask,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        primary_key=True,
        related_name="agenda",
    )
    slot_at = models.DateTimeField(null=True, help_text="The next slot; null if there is none.")
    due_at = models.DateTimeField(
        null=True,
        help_text="When beat claims it: the slot plus jitter, or the next try after a failure.",
    )
    anchor_at = models.DateTimeField(
        null=True, help_text="Slots of an interval are this moment plus k times its length."
    )
    slots_after_at = models.DateTimeField(
        null=True,
        help_text="Only slots after this moment count: before it, the schedule was different or "
        "the task was paused.",
    )
    resolved_through_at = models.DateTimeField(
        null=True, help_text="The latest slot that was sent, missed or skipped."
    )
    timing_digest = models.CharField(
        max_length=64, default="", help_text="A digest of everything that determines the slots."
    )
    stale = models.BooleanField(
        default=True, help_text="Whether the definition has changed since the last plan."
    )
    stale_at = models.DateTimeField(null=True, help_text="When the definition last changed.")
    failures = models.PositiveIntegerField(
        default=0, help_text="Number of consecutive failures to plan or send the task."
    )
    last_error = models.TextField(
        default="", help_text="Reason of the latest failure, for people; empty after a success."
    )
    missed_count = models.PositiveBigIntegerField(
        default=0, help_text="Number of missed slots of this task."
    )

    objects = models.Manager["Agenda"]()

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at", "periodic_task"],
                condition=models.Q(due_at__isnull=False),
                name="agenda_due",
            ),
            models.Index(
                fields=["stale_at", "periodic_task"],
                condition=models.Q(stale=True),
                name="agenda_stale",
            ),
            models.Index(
                fields=["slot_at"],
                condition=models.Q(failures__gt=0),
                name="agenda_quarantined",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.periodic_task_id} at {self.slot_at}"


UNPLANNED = Agenda()


def agenda_of(task: PeriodicTask) -> Agenda:
    """Return the agenda row of a periodic task; an empty one if the row is missing."""
    agenda: Agenda = getattr(task, "agenda", UNPLANNED)
    return agenda
