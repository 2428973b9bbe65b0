"""From what has happened to whom to tell: events become deliveries."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import transaction

from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.events import RunEvent
from scheduler_api.runs.models import Run
from scheduler_api.webhooks.models import Delivery, Webhook
from scheduler_api.webhooks.payloads import data_of, payload_of

BATCH = 500
# So many batches at once: then what is due is sent, and who is asked to stop does.
MAX_BATCHES = 20

logger = EventLogger(__name__)


def fan_out(*, now: datetime) -> int:
    """Make deliveries of events, and return of how many."""
    total = 0
    for _ in range(MAX_BATCHES):
        if not RunEvent.objects.exists() or not (count := fan_out_batch(now=now)):
            break
        total += count
    return total


@transaction.atomic
def fan_out_batch(*, now: datetime) -> int:
    """Make deliveries of some events, which go with that; pass over what another process has."""
    waiting = RunEvent.objects.select_for_update(skip_locked=True).order_by("pk")
    events = list(waiting[:BATCH])
    Delivery.objects.bulk_create(deliveries_of(events, now=now))
    RunEvent.objects.filter(pk__in=[event.pk for event in events]).delete()
    return len(events)


def deliveries_of(events: Sequence[RunEvent], *, now: datetime) -> Iterator[Delivery]:
    """Yield what is to be sent of some events, to whom."""
    webhooks = webhooks_that_may_hear(events)
    if not webhooks:
        return
    labels = labels_of(events)
    runs = Run.objects.defer("args", "kwargs", "options", "result", "traceback").in_bulk(
        {event.run_id for event in events}
    )
    for event in events:
        of_task = labels.get(event.periodic_task_id, {})
        hearers = [
            webhook
            for webhook in webhooks
            if hears_of(webhook, event) and webhook.wants(event.kind, of_task)
        ]
        if not hearers:
            continue
        if event.run_id not in runs:
            logger.warning(
                LogEvent.WEBHOOK_EVENT_DISCARDED,
                "No webhook receives %(type)s of run %(run_id)s: the run is no longer there",
                type=event.kind,
                run_id=str(event.run_id),
            )
            continue
        event_id = f"msg_{uuid.uuid4().hex}"
        try:
            payload = payload_of(event.kind, data_of(runs[event.run_id]), at=event.at)
        except Exception:  # one row that cannot be told must not stop the others
            logger.exception(
                LogEvent.WEBHOOK_EVENT_DISCARDED,
                "No webhook receives %(type)s of run %(run_id)s: its payload cannot be made",
                type=event.kind,
                run_id=str(event.run_id),
            )
            continue
        for webhook in hearers:
            yield Delivery(
                webhook=webhook,
                event_id=event_id,
                type=event.kind,
                run_id=event.run_id,
                payload=payload,
                next_attempt_at=now,
                created_at=now,
            )


def webhooks_that_may_hear(events: Sequence[RunEvent]) -> list[Webhook]:
    """Return the enabled webhooks of those whose events they are; of nobody's, those of all."""
    owners = {event.owner_id for event in events}
    webhooks = Webhook.objects.filter(enabled=True).select_related("owner")
    return list(webhooks if None in owners else webhooks.filter(owner_id__in=owners))


def hears_of(webhook: Webhook, event: RunEvent) -> bool:
    """Tell whether an event is of its owner; or of nobody, and its owner sees such."""
    owner = webhook.owner
    if event.owner_id is None:
        return owner.is_admin or owner.sees_unowned
    return event.owner_id == owner.pk


def labels_of(events: Sequence[RunEvent]) -> dict[int, dict[str, str]]:
    """Return the labels of the periodic tasks, as they are now: a deleted one has none."""
    tasks = ManagedTask.objects.filter(pk__in={event.periodic_task_id for event in events})
    return dict(tasks.values_list("pk", "labels"))
