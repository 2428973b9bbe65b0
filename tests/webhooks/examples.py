"""Rows for the tests of webhooks."""

from typing import Any
from uuid import uuid4

from django_celery_beat.models import PeriodicTask

from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.events import RunEvent
from scheduler_api.runs.models import Run
from scheduler_api.webhooks.models import Delivery, Webhook
from tests.api.periodic_tasks.examples import stored
from tests.api.runs.examples import NOON, run_of

WEBHOOKS = "/api/v1/webhooks/"
DELIVERIES = "/api/v1/deliveries/"
URL = "https://8.8.8.8/hook"


def account(name: str = "crm", **columns: Any) -> ServiceAccount:
    """Return the account with this name, new or stored; a new one may receive messages."""
    defaults = {"scopes": ["webhooks:write"], **columns}
    found, is_new = ServiceAccount.objects.get_or_create(name=name, defaults=defaults)
    if is_new:
        ApiKey.issue(found)
    return found


def webhook_of(owner: ServiceAccount, **columns: Any) -> tuple[Webhook, str]:
    """Store a webhook of an account; return it with its secret."""
    webhook = Webhook(**{"owner": owner, "name": "Alerts", "url": URL, **columns})
    secret = webhook.renew_secret()
    webhook.save()
    return webhook, secret


def task_of(owner: ServiceAccount | None, **labels: str) -> PeriodicTask:
    """Store a periodic task of an account, with these labels."""
    task = stored(name=f"Task {uuid4()}")
    ManagedTask.objects.create(periodic_task=task, owner=owner, labels=labels)
    return task


def store_event(task: PeriodicTask, kind: str = "run.failed", **columns: Any) -> Run:
    """Store a run and an event of it, as beat or a worker does; return the run."""
    run = run_of(task, **{"state": "failed", **columns})
    RunEvent.objects.create(
        kind=kind,
        run_id=run.pk,
        periodic_task_id=task.pk,
        owner_id=run.owner_id,
        at=NOON,
    )
    return run


def due_delivery(webhook: Webhook, **columns: Any) -> Delivery:
    """Store a due delivery."""
    defaults: dict[str, Any] = {
        "event_id": f"msg_{uuid4().hex}",
        "type": "run.failed",
        "payload": '{"type":"run.failed"}',
        "next_attempt_at": NOON,
        "created_at": NOON,
    }
    return Delivery.objects.create(webhook=webhook, **{**defaults, **columns})
