"""How beat is doing, as the database knows it: all beats together."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs.outbox import Outbox
from scheduler_api.scheduler.models import BeatHeartbeat

# Beats write down that they live every five seconds.
SILENT_AFTER = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True)
class BeatHealth:
    """What operators ask: is there a beat, and does it keep up? In seconds; None for nothing."""

    trouble: str
    heartbeat_age_seconds: float | None
    oldest_overdue_seconds: float | None
    oldest_pending_seconds: float | None


def beat_health(now: datetime) -> BeatHealth:
    """Tell how the beats are doing; `trouble` is empty when at least one does its work."""
    latest = BeatHeartbeat.objects.order_by("-ticked_at").first()
    due = Agenda.objects.filter(due_at__lt=now).order_by("due_at")
    out = Outbox.objects.order_by("created_at")
    return BeatHealth(
        trouble=trouble_of(latest, now),
        heartbeat_age_seconds=age(latest.ticked_at if latest else None, now),
        oldest_overdue_seconds=age(due.values_list("due_at", flat=True).first(), now),
        oldest_pending_seconds=age(out.values_list("created_at", flat=True).first(), now),
    )


def trouble_of(latest: BeatHeartbeat | None, now: datetime) -> str:
    """Say what is wrong with the beat that was last heard of."""
    if latest is None:
        return "no beat is running"
    if now - latest.ticked_at > SILENT_AFTER:
        return f"silent since {latest.ticked_at.isoformat(timespec='seconds')}"
    return latest.publish_error


def age(moment: datetime | None, now: datetime) -> float | None:
    """Return how many seconds ago a moment was."""
    return None if moment is None else round(max((now - moment).total_seconds(), 0), 3)
