"""The newest run of a periodic task, read from the ledger within the query of the task.

The ledger is a layer above periodic tasks; this module alone reads its table from here, so that a
page of tasks with their last runs takes one statement.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject
from rest_framework import serializers

from scheduler_api.http import fields
from scheduler_api.runs.models import Run

STATES = Run.State
TIMES = ("slot_at", "started_at", "finished_at")
EXAMPLE: dict[str, Any] = {
    "id": "0b0f6a0e-6a5c-5d5e-9a3b-0d9f5b8f7c11",
    "state": "succeeded",
    "slot_at": "2027-03-28T01:00:00Z",
    "started_at": "2027-03-28T01:00:00.014203Z",
    "finished_at": "2027-03-28T01:00:02.514203Z",
}


class LastRunSerializer(serializers.Serializer[Any]):
    """The newest run of a periodic task."""

    id = serializers.UUIDField(help_text="ID of the run.")
    state = serializers.CharField(help_text="State of the run.")
    slot_at = fields.Instant(allow_null=True, help_text="Scheduled time; null if requested.")
    started_at = fields.Instant(allow_null=True, help_text="Start of the last attempt.")
    finished_at = fields.Instant(allow_null=True, help_text="End of the run.")

    names: ClassVar = ("id", "state", *TIMES)


def newest() -> QuerySet[Run]:
    """Select the newest run of the periodic task of the outer query, by an index."""
    return Run.objects.filter(periodic_task_id=OuterRef("pk")).order_by("-created_at", "-pk")


def last_run() -> Subquery:
    """Return the newest run as an annotation: an object, or None without a run."""
    columns = JSONObject(**{name: name for name in LastRunSerializer.names})
    return Subquery(newest().values(run=columns)[:1])


def with_state(tasks: QuerySet[Any], states: list[str]) -> QuerySet[Any]:
    """Select the periodic tasks whose newest run is in one of these states."""
    state = Subquery(newest().values("state")[:1])
    selected: QuerySet[Any] = tasks.alias(last_state=state).filter(last_state__in=states)
    return selected


def serialize(run: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the annotation as the API shows it; the databases write ids and times otherwise."""
    if run is None:
        return None
    times = {name: run[name] and in_utc(run[name]) for name in TIMES}
    return {"id": str(UUID(run["id"])), "state": run["state"], **times}


def in_utc(text: str) -> str | None:
    """Return a time in UTC; SQLite stores it without an offset."""
    at = datetime.fromisoformat(text)
    return fields.in_utc(at if at.tzinfo else at.replace(tzinfo=UTC))
