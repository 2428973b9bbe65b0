"""The ledger: one row per run."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Case, F, QuerySet, When

# A worker renews the lease of its runs three times in this time. After it without a renewal, the
# worker is taken for gone.
LEASE = timedelta(seconds=settings.RUN_LEASE_SECONDS)


class Run(models.Model):
    """One execution of a task, or the record of slots in a row that were missed.

    It freezes the arguments and options of the message: a later change of the definition does not
    reach it. The periodic task, its owner and its name are plain columns, because the run outlives
    them.
    """

    class Trigger(models.TextChoices):
        """The cause of a run."""

        SCHEDULE = "schedule"
        MANUAL = "manual"
        BACKFILL = "backfill"
        RETRY = "retry"

    class State(models.TextChoices):
        """The state of a run; see `runs.transitions`. The first three are not final."""

        PENDING = "pending"
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"
        LOST = "lost"
        MISSED = "missed"
        SKIPPED = "skipped"
        UNROUTABLE = "unroutable"
        EXPIRED = "expired"

    ACTIVE = (State.PENDING, State.QUEUED, State.RUNNING)

    id = models.UUIDField(primary_key=True, help_text="ID of the run and of its Celery task.")
    periodic_task_id = models.IntegerField(
        null=True,
        help_text="Kept when the periodic task is deleted; null for a run without a definition.",
    )
    periodic_task_name = models.CharField(max_length=200)
    owner_id = models.BigIntegerField(null=True, help_text="The owning account; null if unowned.")
    task = models.CharField(max_length=200)
    trigger = models.CharField(max_length=16, choices=Trigger, default=Trigger.SCHEDULE)
    slot_at = models.DateTimeField(null=True, help_text="The slot, or the first of a stretch.")
    due_at = models.DateTimeField(help_text="The slot plus its jitter.")
    slot_count = models.PositiveIntegerField(
        default=1, help_text="Number of slots that the row stands for."
    )
    last_slot_at = models.DateTimeField(null=True, help_text="The last slot of a stretch.")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    ended_as = models.GeneratedField(
        expression=Case(When(state__in=ACTIVE, then=None), default=F("state")),
        output_field=models.CharField(max_length=16, null=True),
        db_persist=True,
        help_text="The final state; null until then.",
    )
    reason = models.TextField(default="", help_text="The reason for the state, as a sentence.")
    is_buffered = models.BooleanField(
        default=False,
        help_text="Whether it waits for an earlier run to end, or for its turn in a backfill.",
    )
    created_at = models.DateTimeField()
    queued_at = models.DateTimeField(null=True, help_text="When the broker confirmed the message.")
    started_at = models.DateTimeField(null=True, help_text="When a worker last started it.")
    finished_at = models.DateTimeField(null=True, help_text="When it ended.")
    lease_until = models.DateTimeField(
        null=True,
        help_text="The run is lost if no worker renews this in time; null if none runs it.",
    )
    expires_at = models.DateTimeField(
        null=True, help_text="When its message expires; null if it does not."
    )
    worker = models.CharField(
        max_length=255, db_default="", help_text="The Celery worker that last started it."
    )
    attempts = models.PositiveIntegerField(
        db_default=0, help_text="Number of starts: one, plus one for each retry."
    )
    is_cancel_requested = models.BooleanField(
        db_default=False, help_text="Whether a caller cancelled it while it ran."
    )
    result = models.TextField(
        db_default="", help_text="Return value of the task as JSON; empty until then."
    )
    is_result_truncated = models.BooleanField(
        db_default=False, help_text="Whether the result is the text of its beginning."
    )
    error_type = models.CharField(
        max_length=200, db_default="", help_text="The class of the exception."
    )
    error_message = models.TextField(db_default="")
    traceback = models.TextField(db_default="")
    args = models.TextField(default="[]")
    kwargs = models.TextField(default="{}")
    options = models.TextField(
        default="{}",
        help_text="Arguments of Celery's apply_async, such as queue and headers, as JSON.",
    )

    objects = models.Manager["Run"]()

    class Meta:
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="runs_by_created_at"),
            models.Index(
                fields=["periodic_task_id", "-created_at", "-id"], name="runs_by_periodic_task"
            ),
            models.Index(fields=["owner_id", "-created_at", "-id"], name="runs_by_owner"),
            models.Index(
                fields=["periodic_task_id"],
                condition=models.Q(is_buffered=True),
                name="runs_buffered",
            ),
            models.Index(
                fields=["lease_until"],
                condition=models.Q(lease_until__isnull=False),
                name="runs_by_lease",
            ),
            # A run that ends leaves this index by itself.
            models.Index(
                fields=["expires_at"],
                condition=models.Q(expires_at__isnull=False, ended_as__isnull=True),
                name="runs_by_expiry",
            ),
            # Not by `state`: a change that touches no index takes a third of the time.
            models.Index(fields=["ended_as", "-created_at", "-id"], name="runs_by_end_state"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.slot_at}: {self.state}"

    @property
    def name(self) -> str:
        """The name of the periodic task, or of the Celery task of a run without a definition."""
        return self.periodic_task_name or self.task

    @classmethod
    def active(cls) -> QuerySet["Run"]:
        """Select the runs whose state is not final."""
        return cls.objects.filter(state__in=cls.ACTIVE)
