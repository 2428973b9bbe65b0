"""Stored responses to requests with an idempotency key."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.http import HttpResponse

RESPONSE_RETENTION = timedelta(hours=24)
CLEANUP_BATCH_SIZE = 100


class IdempotentResponseQuerySet(models.QuerySet["IdempotentResponse"]):
    """Query set of stored responses, fresh or expired."""

    def fresh(self, *, at: datetime) -> Self:
        """Select the responses that are replayed at this moment."""
        return self.filter(created_at__gt=at - RESPONSE_RETENTION)

    def expired(self, *, at: datetime) -> Self:
        """Select the responses that are no longer replayed."""
        return self.filter(created_at__lte=at - RESPONSE_RETENTION)

    def clear_some(self, *, at: datetime) -> None:
        """Delete a few expired responses, except rows that another transaction locks."""
        oldest = self.expired(at=at).order_by("created_at").select_for_update(skip_locked=True)
        self.filter(pk__in=oldest.values("pk")[:CLEANUP_BATCH_SIZE]).delete()


class IdempotentResponse(models.Model):
    """The response to a POST with an Idempotency-Key, replayed to repeats."""

    service_account = models.ForeignKey(
        "scheduler_api.ServiceAccount", on_delete=models.CASCADE, related_name="+"
    )
    key = models.CharField(max_length=255)
    # SHA-256 of the method, the URL and the body: another request with the same key is refused.
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
        """Return the same response, to the byte."""
        return HttpResponse(self.body, status=self.status, headers=self.headers)
