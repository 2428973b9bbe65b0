"""The two statements that each run costs a worker, prepared: its start and its success.

Their texts are registered in `runs.transitions` beside the ORM versions, which take their place
if the setting FAST_PATHS is off.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from scheduler_api.runs.models import LEASE
from scheduler_api.runs.transitions import START, SUCCEED, Transition
from scheduler_api.worker.prepared_statements import BoundStatement, PreparedStatement


def prepared(move: Transition) -> PreparedStatement:
    """Return the fast version of a move."""
    assert move.sql is not None
    return PreparedStatement(move.sql.name, postgresql=move.sql.postgresql, others=move.sql.others)


start_statement = prepared(START)
success_statement = prepared(SUCCEED)


def first_start(run_id: str, *, at: datetime, worker: str) -> BoundStatement | None:
    """Return the fast version of `transitions.first_start`.

    None without FAST_PATHS, and for the id of a task that is no run.
    """
    if not settings.FAST_PATHS:
        return None
    try:
        pk = UUID(run_id)
    except ValueError:
        return None
    values = {"id": pk, "at": at, "worker": worker, "lease_until": datetime.now(UTC) + LEASE}
    return BoundStatement(start_statement, values)


def success(run_id: str, **values: Any) -> BoundStatement | None:
    """Return the fast version of `transitions.succeed`, of the same values; None without it."""
    if not settings.FAST_PATHS:
        return None
    return BoundStatement(success_statement, {"id": UUID(run_id), **values})
