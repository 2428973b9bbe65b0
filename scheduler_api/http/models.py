"""What has been answered to requests that may be sent twice."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.http import HttpResponse

KEPT_FOR = timedelta(hours=24)
CLEARED_IN_PASSING = 100


class IdempotentResponseQuerySet(models.QuerySet["IdempotentResponse"]):
    """Selections of answers: one that has expired is as good as gone."""

    def fresh(self, *, at: datetime) -> Self:
        """Select those that a repeat at this moment is answered with."""
        return self.filter(created_at__gt=at - KEPT_FOR)

    def expired(self, *, at: datetime) -> Self:
        """Select those that nobody is answered with any more."""
        return self.filter(created_at__lte=at - KEPT_FOR)

    def clear_some(self, *, at: datetime) -> None:
        """Delete a few that have expired, but none that somebody else is deleting."""
        oldest = self.expired(at=at).order_by("created_at").select_for_update(skip_locked=True)
        self.filter(pk__in=oldest.values("pk")[:CLEARED_IN_PASSING]).delete()


class IdempotentResponse(models.Model):
    """The answer to a POST with an Idempotency-Key, kept so that a repeat has no effect."""

    service_account = models.ForeignKey(
        "scheduler_api.ServiceAccount", on_delete=models.CASCADE, related_name="+"
    )
    key = models.CharField(max_length=255)
    # SHA-256 of the method, the address and the body: the same key with another request is
    # refused.
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    objects = IdempotentResponseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["service_account", "key"], name="one_answer_per_idempotency_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.status} to {self.key}"

    def as_response(self) -> HttpResponse:
        """Return the answer once more, to the byte."""
        return HttpResponse(self.body, status=self.status, headers=self.headers)
