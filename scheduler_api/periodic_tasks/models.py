"""Managed settings: columns of a periodic task beyond those of django-celery-beat."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.models import ServiceAccount

MAX_NOTE_LENGTH = 500
MAX_RUNTIME_SECONDS = 3600  # the default
DEFAULT_BACKOFF_SECONDS = 10
# The policy columns of a ManagedTask; each is a field of the API.
POLICIES = (
    "misfire",
    "catchup_window_seconds",
    "overlap",
    "jitter_seconds",
    "max_runtime_seconds",
    "max_attempts",
    "retry_backoff_seconds",
    "pause_after_failures",
)


class ManagedTask(models.Model):
    """The managed settings of a periodic task: owner, labels, policies and pause.

    A periodic task without such a row is unowned. While a task is paused, its column `enabled` is
    false, which every scheduler obeys, and `enabled_on_resume` is its value after the pause.
    """

    class ManagedBy(models.TextChoices):
        """The source of the definition."""

        API = "api"
        MANIFEST = "manifest"
        SETTINGS = "settings"
        ADMIN = "admin"

    class Misfire(models.TextChoices):
        """Handling of slots that beat did not send in time."""

        SKIP = "skip"
        RUN_ONCE = "run_once"
        RUN_ALL = "run_all"

    class Overlap(models.TextChoices):
        """Handling of a slot while an earlier run is unfinished."""

        ALLOW = "allow"
        SKIP = "skip"
        BUFFER_ONE = "buffer_one"
        CANCEL_PREVIOUS = "cancel_previous"

    periodic_task = models.OneToOneField(
        PeriodicTask, on_delete=models.CASCADE, primary_key=True, related_name="managed"
    )
    owner = models.ForeignKey(
        ServiceAccount,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="periodic_tasks",
        help_text="Owning account; null if unowned.",
    )
    managed_by = models.CharField(
        max_length=16,
        choices=ManagedBy,
        default=ManagedBy.API,
        help_text="Its source.",
    )
    labels = models.JSONField(default=dict, blank=True, help_text="Keys and values for filtering.")
    revision = models.PositiveBigIntegerField(
        default=1, help_text="Number of writes of the definition, including the first."
    )
    misfire = models.CharField(
        max_length=16,
        choices=Misfire,
        default=Misfire.RUN_ONCE,
        help_text="Handling of slots that beat did not send in time.",
    )
    catchup_window_seconds = models.PositiveIntegerField(
        default=3600, help_text="Maximum delay after which a slot may still run."
    )
    overlap = models.CharField(
        max_length=16,
        choices=Overlap,
        default=Overlap.ALLOW,
        help_text="Handling of a slot while an earlier run is unfinished.",
    )
    jitter_seconds = models.PositiveIntegerField(
        default=0,
        help_text="Maximum delay between a slot and its run, always the same for a slot.",
    )
    max_runtime_seconds = models.PositiveIntegerField(
        default=MAX_RUNTIME_SECONDS,
        help_text="If no worker reports on a run for this long, it is marked `lost`.",
    )
    max_attempts = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        help_text="Maximum number of times that a failed or lost run starts.",
    )
    retry_backoff_seconds = models.PositiveIntegerField(
        default=DEFAULT_BACKOFF_SECONDS,
        db_default=DEFAULT_BACKOFF_SECONDS,
        help_text="Delay before the second start of a run; doubles before each later start.",
    )
    pause_after_failures = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text="Consecutive failed or lost runs after which the task is paused; 0: never.",
    )
    paused_at = models.DateTimeField(null=True, help_text="Start of the pause.")
    paused_until = models.DateTimeField(null=True, help_text="End of the pause, if any.")
    pause_note = models.CharField(max_length=MAX_NOTE_LENGTH, default="", help_text="Its reason.")
    enabled_on_resume = models.BooleanField(default=True)
    resumed_at = models.DateTimeField(
        null=True, help_text="End of the latest pause: slots up to this time do not run."
    )

    objects = models.Manager["ManagedTask"]()

    class Meta:
        indexes = [
            models.Index(
                fields=["paused_until"],
                condition=models.Q(paused_until__isnull=False),
                name="managed_tasks_by_pause_end",
            )
        ]

    def __str__(self) -> str:
        return f"{self.periodic_task_id} of {self.owner}"


# The sources whose definitions the API has validated.
WRITTEN_BY_API = frozenset({ManagedTask.ManagedBy.API, ManagedTask.ManagedBy.MANIFEST})


def managed_settings(task: PeriodicTask) -> ManagedTask:
    """Return the managed settings of a periodic task; without a row, unstored defaults.

    The defaults have no owner. They are managed by the settings if CELERY_BEAT_SCHEDULE names the
    task, and by Django's admin otherwise.
    """
    try:
        stored: ManagedTask = task.managed
    except ManagedTask.DoesNotExist:
        by_settings = task.name in settings.CELERY_BEAT_SCHEDULE
        managed_by = ManagedTask.ManagedBy.SETTINGS if by_settings else ManagedTask.ManagedBy.ADMIN
        return ManagedTask(periodic_task=task, managed_by=managed_by)
    return stored


def max_attempts_of(periodic_task_id: str) -> Coalesce:
    """Return a query expression for `max_attempts`, by the column with the periodic task id."""
    settings_row = ManagedTask.objects.filter(pk=OuterRef(periodic_task_id))
    return Coalesce(Subquery(settings_row.values("max_attempts")), 1)


def is_paused(task: PeriodicTask) -> bool:
    """Return whether a task is paused. Enabling the row outside the API ends the pause."""
    return not task.enabled and managed_settings(task).paused_at is not None


def is_enabled(task: PeriodicTask) -> bool:
    """Return whether a task is enabled, apart from a pause."""
    return managed_settings(task).enabled_on_resume if is_paused(task) else bool(task.enabled)


def end_of_pause(task: PeriodicTask) -> datetime | None:
    """Return the end of the latest pause, past or future; None without a pause or an end."""
    managed = managed_settings(task)
    return managed.paused_until if is_paused(task) else managed.resumed_at
