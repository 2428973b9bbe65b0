"""Scopes of service accounts."""

from django.db.models import TextChoices


class Scope(TextChoices):
    """The scope that an operation requires."""

    SCHEDULES_READ = "schedules:read"
    SCHEDULES_WRITE = "schedules:write"
    PERIODIC_TASKS_READ = "periodic-tasks:read"
    PERIODIC_TASKS_WRITE = "periodic-tasks:write"
    PERIODIC_TASKS_DELETE = "periodic-tasks:delete"
    RUNS_READ = "runs:read"
    RUNS_WRITE = "runs:write"
    TASKS_READ = "tasks:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    ADMIN = "admin"


def crud(*, read: Scope, write: Scope, delete: Scope | None = None) -> dict[str, Scope]:
    """Return the scope that each standard action requires."""
    return {
        **dict.fromkeys(("list", "retrieve"), read),
        **dict.fromkeys(("create", "update", "partial_update"), write),
        "destroy": delete or write,
    }
