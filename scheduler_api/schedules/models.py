"""What the API knows of a schedule beyond django-celery-beat's own columns."""

from django.db import models


class ScheduleRevision(models.Model):
    """How often a stored schedule was changed over the API; a row that has none, never."""

    kind = models.CharField(max_length=16)
    schedule_id = models.BigIntegerField()
    revision = models.PositiveBigIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "schedule_id"], name="one_revision_per_schedule"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.schedule_id}: {self.revision}"
