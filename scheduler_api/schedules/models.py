"""Data of schedules beyond the columns of django-celery-beat."""

from django.db import models
from django.db.models import F


class ScheduleRevision(models.Model):
    """The revision of a stored schedule, counted over the API. No row means revision 1."""

    kind = models.CharField(max_length=16)
    schedule_id = models.BigIntegerField()
    revision = models.PositiveBigIntegerField(default=1)

    objects = models.Manager["ScheduleRevision"]()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "schedule_id"], name="one_revision_per_schedule"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.schedule_id}: {self.revision}"

    @classmethod
    def bump(cls, kind: str, schedule_id: int) -> None:
        """Count a change. The first one makes revision 2."""
        counted, is_new = cls.objects.get_or_create(
            kind=kind, schedule_id=schedule_id, defaults={"revision": 2}
        )
        if not is_new:
            cls.objects.filter(pk=counted.pk).update(revision=F("revision") + 1)
