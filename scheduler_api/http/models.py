"""What has been answered to requests that may be sent twice."""

from django.db import models


class IdempotentResponse(models.Model):
    """The answer to a POST with an Idempotency-Key, kept so that a repeat has no effect."""

    service_account = models.ForeignKey(
        "scheduler_api.ServiceAccount", on_delete=models.CASCADE, related_name="+"
    )
    key = models.CharField(max_length=255)
    # SHA-256 of the method, the path and the body: the same key with another request is refused.
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["service_account", "key"], name="one_answer_per_idempotency_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.status} to {self.key}"
