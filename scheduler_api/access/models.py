"""Who may do what: service accounts and their keys."""

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
# What can stand in a log, in a URL and on a command line as it is.
NAME_RULE = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}\Z",
    "Begin with a letter or a digit; then letters, digits and . _ @ - may follow, 100 in all.",
    "invalid_name",
)


class ServiceAccount(models.Model):
    """A service, a script or a person that calls the API."""

    name = models.CharField(max_length=100, unique=True, help_text="Unique among all accounts.")
    scopes = models.JSONField(default=list, help_text="What it may do.")
    task_patterns = models.JSONField(
        default=list,
        blank=True,
        help_text="The tasks it may name, as `billing.*`; empty for all.",
    )
    queues = models.JSONField(
        default=list, blank=True, help_text="The queues it may name; empty for all."
    )
    sees_unowned = models.BooleanField(
        default=False,
        help_text="Whether it may see and change periodic tasks that belong to no account.",
    )
    requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="How many requests it may send in a minute; null for what the service grants.",
    )
    max_periodic_tasks = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many periodic tasks it may own; null for any number."
    )
    min_interval_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="How far apart the slots of its periodic tasks must be; null for any distance.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = models.Manager["ServiceAccount"]()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.name

    def may(self, scope: str) -> bool:
        """Tell whether it has a scope; `admin` has all of them."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    @property
    def is_admin(self) -> bool:
        """Tell whether it crosses the borders between accounts."""
        return Scope.ADMIN in self.scopes


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Selections of keys."""

    def live(self, *, at: datetime) -> Self:
        """Select those that open the API at this moment."""
        not_expired = Q(expires_at=None) | Q(expires_at__gt=at)
        return self.filter(not_expired, revoked_at=None)


class ApiKey(models.Model):
    """A key of a service account. Its text is shown once, and not kept."""

    service_account = models.ForeignKey(
        ServiceAccount, on_delete=models.CASCADE, related_name="api_keys"
    )
    prefix = models.CharField(
        max_length=PREFIX_LENGTH,
        unique=True,
        help_text="How the key begins, after `sk_`: its name in logs and in the audit.",
    )
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="From when on it is refused; null for never."
    )
    last_used_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was last used, to the minute."
    )
    revoked_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when it is refused; null while it is not."
    )

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"sk_{self.prefix}…"

    @classmethod
    def issue(cls, account: ServiceAccount, **values: Any) -> tuple[Self, str]:
        """Store a new key of an account; return it with its text, which is not stored."""
        prefix = secrets.token_hex(PREFIX_LENGTH // 2)
        text = f"sk_{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
        key = cls(service_account=account, prefix=prefix, digest=digest_of(text), **values)
        key.save(force_insert=True)
        return key, text


class AuditEntry(models.Model):
    """One change over the API: who made it, when, and what was before and after.

    Only ever added; written in the transaction of the change itself.
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
    object_id = models.BigIntegerField()
    object_name = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["object_type", "object_id"])]

    def __str__(self) -> str:
        return f"{self.account_name}: {self.operation} {self.object_type} {self.object_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add a new one; refuse to write over one that is stored."""
        if not self._state.adding:
            raise TypeError("An audit entry is only ever added.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("An audit entry is only ever added.")


def digest_of(text: str) -> str:
    """Return what is stored of a key: its text has 256 random bits, so SHA-256 is enough."""
    return hashlib.sha256(text.encode()).hexdigest()
