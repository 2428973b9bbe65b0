"""What the tests of the agenda read and write of it."""

from datetime import UTC, datetime

from scheduler_api.periodic_tasks.agenda import Agenda

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def settle() -> None:
    """Make all rows what beat leaves after it has planned them."""
    Agenda.objects.update(stale=False, stale_at=LONG_AGO)


def stale_names() -> list[str]:
    """The names of the tasks that beat would look at again, in their order."""
    rows = Agenda.objects.filter(stale=True).order_by("periodic_task__name")
    assert all(row.stale_at and row.stale_at > LONG_AGO for row in rows)
    return list(rows.values_list("periodic_task__name", flat=True))


def ids() -> list[int]:
    """The ids that are in the agenda, in their order."""
    return list(Agenda.objects.order_by("pk").values_list("pk", flat=True))
