"""Beat's health, computed from the database over all beat processes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min
from django.db.models.functions import Coalesce

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs.outbox import Outbox
from scheduler_api.scheduler.models import BeatHeartbeat

# Beats write a heartbeat every five seconds.
SILENT_AFTER = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True)
class BeatHealth:
    """Whether a beat is running and keeps up. Ages are in seconds; None if there is nothing.

    A slot of a quarantined task is overdue, though beat tries it only after the back-off.
    """

    problem: str
    heartbeat_age_seconds: float | None
    oldest_overdue_seconds: float | None
    oldest_pending_seconds: float | None
    quarantined: int


def beat_health(now: datetime) -> BeatHealth:
    """Return beat's health; `problem` is empty if at least one beat works."""
    latest = BeatHeartbeat.objects.order_by("-ticked_at").first()
    due = Agenda.objects.filter(due_at__lt=now).order_by("due_at")
    quarantined = Agenda.objects.filter(failures__gt=0)
    # Without a slot, the schedule itself is invalid, since its last change.
    waits_since = quarantined.aggregate(first=Min(Coalesce("slot_at", "stale_at")))["first"]
    due_since = due.values_list("due_at", flat=True).first()
    overdue = [at for at in (due_since, waits_since) if at and at < now]
    batches = Outbox.objects.order_by("created_at")
    return BeatHealth(
        problem=problem_of(latest, now),
        heartbeat_age_seconds=age(latest.ticked_at if latest else None, now),
        oldest_overdue_seconds=age(min(overdue, default=None), now),
        oldest_pending_seconds=age(batches.values_list("created_at", flat=True).first(), now),
        quarantined=quarantined.count(),
    )


def problem_of(latest: BeatHeartbeat | None, now: datetime) -> str:
    """Return the problem of the beat with the latest heartbeat; empty if it has none."""
    if latest is None:
        return "no beat is running"
    if now - latest.ticked_at > SILENT_AFTER:
        return f"silent since {latest.ticked_at.isoformat(timespec='seconds')}"
    return latest.publish_error


def age(moment: datetime | None, now: datetime) -> float | None:
    """Return the seconds since a moment, at least 0."""
    return None if moment is None else round(max((now - moment).total_seconds(), 0), 3)
