"""The whole data dictionary: our own tables, beside those of django-celery-beat."""

from scheduler_api.access.models import ApiKey, AuditEntry, ServiceAccount
from scheduler_api.access.windows import RateLimitWindow
from scheduler_api.catalogue.models import TaskList, TaskSpec, Worker
from scheduler_api.http.models import IdempotentResponse
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.events import FailureStreak, RunEvent
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox
from scheduler_api.scheduler.models import BeatHeartbeat, Republication
from scheduler_api.schedules.models import ScheduleRevision
from scheduler_api.webhooks.models import Delivery, Webhook

__all__ = [
    "Agenda",
    "ApiKey",
    "AuditEntry",
    "BeatHeartbeat",
    "Delivery",
    "FailureStreak",
    "IdempotentResponse",
    "ManagedTask",
    "Outbox",
    "RateLimitWindow",
    "Republication",
    "Run",
    "RunEvent",
    "ScheduleRevision",
    "ServiceAccount",
    "TaskList",
    "TaskSpec",
    "Webhook",
    "Worker",
]
