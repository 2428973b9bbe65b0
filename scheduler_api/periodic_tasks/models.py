"""What the API knows of a periodic task beyond django-celery-beat's own columns."""

from django.conf import settings
from django.db import models
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.models import ServiceAccount


class ManagedTask(models.Model):
    """The other half of a periodic task. One that has none belongs to nobody."""

    class ManagedBy(models.TextChoices):
        """Who writes the definition."""

        API = "api"
        MANIFEST = "manifest"
        SETTINGS = "settings"
        ADMIN = "admin"

    periodic_task = models.OneToOneField(
        PeriodicTask, on_delete=models.CASCADE, primary_key=True, related_name="managed"
    )
    owner = models.ForeignKey(
        ServiceAccount,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="periodic_tasks",
        help_text="The account whose it is; null for nobody's.",
    )
    managed_by = models.CharField(
        max_length=16, choices=ManagedBy, default=ManagedBy.API, help_text="Who writes it."
    )
    labels = models.JSONField(default=dict, blank=True, help_text="Keys and values to find it by.")
    revision = models.PositiveBigIntegerField(
        default=1, help_text="How often the definition was written, the first time included."
    )

    def __str__(self) -> str:
        return f"{self.periodic_task_id} of {self.owner}"


def managed_half(task: PeriodicTask) -> ManagedTask:
    """Return the other half of a periodic task; that of one which has none, not stored.

    It is nobody's then, and written by whoever wrote the row: the settings or Django's admin.
    """
    try:
        stored: ManagedTask = task.managed
    except ManagedTask.DoesNotExist:
        by_settings = task.name in settings.CELERY_BEAT_SCHEDULE
        managed_by = ManagedTask.ManagedBy.SETTINGS if by_settings else ManagedTask.ManagedBy.ADMIN
        return ManagedTask(periodic_task=task, managed_by=managed_by)
    return stored
