"""Fan-out: each run event becomes one delivery per subscribed webhook."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import transaction

from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.events import RunEvent
from scheduler_api.runs.models import Run
from scheduler_api.webhooks.models import Delivery, Webhook
from scheduler_api.webhooks.payloads import payload_of, run_data
from scheduler_api.webhooks.suspension import without_suspended

BATCH_SIZE = 500
# The limit per call: between calls, the sender sends due deliveries and obeys a request to stop.
MAX_BATCHES = 20

logger = EventLogger(__name__)


def fan_out(*, now: datetime) -> int:
    """Turn events into deliveries; return the number of events."""
    total = 0
    for _ in range(MAX_BATCHES):
        if not RunEvent.objects.exists() or not (count := fan_out_batch(now=now)):
            break
        total += count
    return total


@transaction.atomic
def fan_out_batch(*, now: datetime) -> int:
    """Replace a batch of events by deliveries; skip events locked by another sender."""
    waiting = RunEvent.objects.select_for_update(skip_locked=True).order_by("pk")
    events = list(waiting[:BATCH_SIZE])
    Delivery.objects.bulk_create(deliveries_of(events, now=now))
    RunEvent.objects.filter(pk__in=[event.pk for event in events]).delete()
    return len(events)


def deliveries_of(events: Sequence[RunEvent], *, now: datetime) -> Iterator[Delivery]:
    """Yield the deliveries of events, not stored yet."""
    webhooks = candidate_webhooks(events, now=now)
    if not webhooks:
        return
    labels = labels_of(events)
    runs = Run.objects.defer("args", "kwargs", "options", "result", "traceback").in_bulk(
        {event.run_id for event in events}
    )
    for event in events:
        task_labels = labels.get(event.periodic_task_id, {})
        recipients = [
            webhook
            for webhook in webhooks
            if may_receive(webhook, event) and webhook.subscribes_to(event.kind, task_labels)
        ]
        if not recipients:
            continue
        if event.run_id not in runs:
            logger.warning(
                LogEvent.WEBHOOK_EVENT_DISCARDED,
                "No webhook receives %(type)s of run %(run_id)s: the run was deleted",
                type=event.kind,
                run_id=str(event.run_id),
            )
            continue
        event_id = f"msg_{uuid.uuid4().hex}"
        try:
            payload = payload_of(event.kind, run_data(runs[event.run_id]), at=event.at)
        except Exception:  # one row that cannot be serialized must not block the others
            logger.exception(
                LogEvent.WEBHOOK_EVENT_DISCARDED,
                "No webhook receives %(type)s of run %(run_id)s: its payload cannot be made",
                type=event.kind,
                run_id=str(event.run_id),
            )
            continue
        for webhook in recipients:
            yield Delivery(
                webhook=webhook,
                event_id=event_id,
                type=event.kind,
                run_id=event.run_id,
                payload=payload,
                next_attempt_at=now,
                created_at=now,
            )


def candidate_webhooks(events: Sequence[RunEvent], *, now: datetime) -> list[Webhook]:
    """Return the webhooks of the owners of events; all if an event is unowned.

    Disabled and suspended ones are left out.
    """
    owners = {event.owner_id for event in events}
    webhooks = Webhook.objects.filter(enabled=True).select_related("owner")
    if None not in owners:
        webhooks = webhooks.filter(owner_id__in=owners)
    candidates = list(webhooks)
    receiving = without_suspended((webhook.owner_id for webhook in candidates), at=now)
    return [webhook for webhook in candidates if webhook.owner_id in receiving]


def may_receive(webhook: Webhook, event: RunEvent) -> bool:
    """Return whether the owner of a webhook may see an event."""
    owner = webhook.owner
    if event.owner_id is None:
        return owner.is_admin or owner.sees_unowned
    return event.owner_id == owner.pk


def labels_of(events: Sequence[RunEvent]) -> dict[int | None, dict[str, str]]:
    """Return the current labels of the periodic tasks; a deleted task has none."""
    tasks = ManagedTask.objects.filter(pk__in={event.periodic_task_id for event in events})
    return dict(tasks.values_list("pk", "labels"))
