"""Service accounts, their API keys, and the audit log."""

import hashlib
import secrets
from datetime import datetime
from typing import Any, NoReturn, Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from scheduler_api.access.scopes import Scope

PREFIX_LENGTH = 8
SECRET_BYTES = 32
# A name needs no quoting in a log, in a URL or on a command line.
NAME_RULE = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}\Z",
    "Start with a letter or a digit, then use letters, digits and . _ @ -, up to 100 in all.",
    "invalid_name",
)


class ServiceAccount(models.Model):
    """A service, script or person that calls the API."""

    name = models.CharField(
        max_length=100, unique=True, help_text="Account name, unique among all accounts."
    )
    scopes = models.JSONField(default=list, help_text="Scopes of the account.")
    task_patterns = models.JSONField(
        default=list,
        blank=True,
        help_text="Patterns of the tasks it may use, such as `billing.*`; empty for all tasks.",
    )
    queues = models.JSONField(
        default=list, blank=True, help_text="Queues it may use; empty for all queues."
    )
    sees_unowned = models.BooleanField(
        default=False,
        help_text="Whether it may read and change periodic tasks without an owner.",
    )
    requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Maximum requests per minute; null for the service's default.",
    )
    max_periodic_tasks = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Maximum number of periodic tasks it may own; null for no limit.",
    )
    min_interval_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Minimum seconds between slots of its periodic tasks; null for no limit.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = models.Manager["ServiceAccount"]()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.name

    def may(self, scope: str) -> bool:
        """Return whether the account has a scope; `admin` implies every scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    @property
    def is_admin(self) -> bool:
        """Return whether the account may access all accounts' objects."""
        return Scope.ADMIN in self.scopes


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Query set of API keys."""

    def live(self, *, at: datetime) -> Self:
        """Select the keys that are neither expired nor revoked at this moment."""
        not_expired = Q(expires_at=None) | Q(expires_at__gt=at)
        return self.filter(not_expired, revoked_at=None)


class ApiKey(models.Model):
    """An API key of a service account. Its text is shown once and not stored."""

    service_account = models.ForeignKey(
        ServiceAccount, on_delete=models.CASCADE, related_name="api_keys"
    )
    prefix = models.CharField(
        max_length=PREFIX_LENGTH,
        unique=True,
        help_text="First characters of the key after `sk_`; its name in logs and the audit log.",
    )
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Time of expiry; null if the key never expires."
    )
    last_used_at = models.DateTimeField(
        null=True, blank=True, help_text="Time of last use, to the minute; null if never used."
    )
    revoked_at = models.DateTimeField(
        null=True, blank=True, help_text="Time of revocation; null if not revoked."
    )

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ("id",)

    def __str__(self) -> str:
        return f"sk_{self.prefix}…"

    @classmethod
    def issue(cls, account: ServiceAccount, **values: Any) -> tuple[Self, str]:
        """Store a new key of an account; return it and its text, which is not stored."""
        prefix = secrets.token_hex(PREFIX_LENGTH // 2)
        text = f"sk_{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
        key = cls(service_account=account, prefix=prefix, digest=digest_of(text), **values)
        key.save(force_insert=True)
        return key, text


class AuditEntry(models.Model):
    """A change over the API: its account, time, and the fields before and after.

    Entries are append-only. Each is written in the transaction of its change.
    """

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    service_account = models.ForeignKey(
        ServiceAccount, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    account_name = models.CharField(max_length=100)
    key_prefix = models.CharField(max_length=PREFIX_LENGTH)
    request_id = models.CharField(max_length=128)
    operation = models.CharField(max_length=100)
    object_type = models.CharField(max_length=50)
    object_id = models.BigIntegerField(null=True)
    object_name = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["object_type", "object_id"])]

    def __str__(self) -> str:
        return f"{self.account_name}: {self.operation} {self.object_type} {self.object_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the entry; refuse to update a stored one."""
        if not self._state.adding:
            raise TypeError("The audit log is append-only: an entry cannot be changed or deleted.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: the audit log is append-only."""
        raise TypeError("The audit log is append-only: an entry cannot be changed or deleted.")


def digest_of(text: str) -> str:
    """Return the stored digest of a key. Its text has 256 random bits, so SHA-256 suffices."""
    return hashlib.sha256(text.encode()).hexdigest()
