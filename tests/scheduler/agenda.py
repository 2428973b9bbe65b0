"""Helpers that read and write agenda rows."""

from datetime import UTC, datetime

from scheduler_api.periodic_tasks.agenda import Agenda

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def settle() -> None:
    """Set all rows to the state after planning."""
    Agenda.objects.update(stale=False, stale_at=LONG_AGO)


def stale_names() -> list[str]:
    """Return the names of the stale tasks, sorted."""
    rows = Agenda.objects.filter(stale=True).order_by("periodic_task__name")
    assert all(row.stale_at and row.stale_at > LONG_AGO for row in rows)
    return list(rows.values_list("periodic_task__name", flat=True))


def ids() -> list[int]:
    """Return the ids in the agenda, sorted."""
    return list(Agenda.objects.order_by("pk").values_list("pk", flat=True))
