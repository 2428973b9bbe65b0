"""The scopes: what a service account may be allowed to do."""

from django.db.models import TextChoices


class Scope(TextChoices):
    """What an operation asks for."""

    SCHEDULES_READ = "schedules:read"
    SCHEDULES_WRITE = "schedules:write"
    PERIODIC_TASKS_READ = "periodic-tasks:read"
    PERIODIC_TASKS_WRITE = "periodic-tasks:write"
    PERIODIC_TASKS_DELETE = "periodic-tasks:delete"
    RUNS_READ = "runs:read"
    RUNS_WRITE = "runs:write"
    TASKS_READ = "tasks:read"
    AUDIT_READ = "audit:read"
    ADMIN = "admin"
