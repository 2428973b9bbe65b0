"""The table of moves, and each fast version against its ORM version."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.forms.models import model_to_dict

from scheduler_api.runs import transitions
from scheduler_api.runs.creation import Definition, new_run
from scheduler_api.runs.events import FailureStreak
from scheduler_api.runs.models import LEASE, Run
from scheduler_api.runs.transitions import TRANSITIONS, State
from scheduler_api.scheduler.postgres_store import store_of_database
from scheduler_api.scheduler.store import Store
from scheduler_api.worker import ledger_statements
from tests.api.runs.examples import entered

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2027, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATER = NOON + 60 * SECOND
SUCCESS = {"result": '["Grüße"]', "is_result_truncated": True}
FAILING, WELL = 1, 2  # periodic tasks: after a failure, and after a success


def start_by_orm(run_id: str) -> bool | None:
    return transitions.first_start(run_id, at=LATER, worker="celery@größe")


def start_by_sql(run_id: str) -> bool | None:
    statement = ledger_statements.first_start(run_id, at=LATER, worker="celery@größe")
    assert statement is not None
    return statement()


def succeed_by_orm(run_id: str) -> bool | None:
    return transitions.succeed(run_id, at=LATER, started_at=NOON, **SUCCESS) or None


def succeed_by_sql(run_id: str) -> bool | None:
    statement = ledger_statements.success(run_id, at=LATER, started_at=NOON, **SUCCESS)
    assert statement is not None
    return statement()


def confirm_by_orm(run_id: str) -> None:
    Store().settle(0, queued=[run_id], now=LATER)


def confirm_by_sql(run_id: str) -> None:
    store_of_database().settle(0, queued=[run_id], now=LATER)


Move = Callable[[str], bool | None]
VERSIONS: dict[str, tuple[Move, Move]] = {
    "confirm": (confirm_by_orm, confirm_by_sql),
    "start": (start_by_orm, start_by_sql),
    "succeed": (succeed_by_orm, succeed_by_sql),
}


def test_each_registered_fast_version_is_compared_with_its_orm_version():
    assert VERSIONS.keys() == {move.name for move in TRANSITIONS if move.sql}


@pytest.fixture
def _fast_paths(settings: Any) -> None:
    settings.FAST_PATHS = True


@pytest.mark.usefixtures("_fast_paths")
@pytest.mark.parametrize("state", State.values)
@pytest.mark.parametrize("move", VERSIONS)
def test_fast_version_moves_the_rows_of_the_orm_version_alike(move, state):
    FailureStreak.objects.create(periodic_task_id=FAILING, failures=1, first_failed_at=NOON)
    by_orm, by_sql = VERSIONS[move]
    conditions = product([None, NOON, NOON - SECOND], [None, NOON], [FAILING, WELL])
    for started_at, queued_at, periodic_task_id in conditions:
        columns = {
            "state": state,
            "started_at": started_at,
            "queued_at": queued_at,
            "periodic_task_id": periodic_task_id,
            "finished_at": NOON,
            "lease_until": NOON,
            "is_buffered": True,
            "is_cancel_requested": True,
            "attempts": 3,
            "reason": "before",
            "worker": "before",
            "result": "1",
            "error_type": "ValueError",
            "error_message": "before",
            "traceback": "before",
        }
        one, other, untouched = (str(entered(**columns).pk) for _ in range(3))

        assert by_orm(one) == by_sql(other)

        assert row_of(one) == row_of(other), columns
        assert row_of(untouched)["state"] == state


def row_of(run_id: str) -> dict[str, Any]:
    """Return all columns but the id, and the lease as whether it was renewed."""
    run = Run.objects.get(pk=run_id)
    row = model_to_dict(run, exclude=["id"]) | {"ended_as": run.ended_as}
    if run.lease_until:
        remaining = run.lease_until - datetime.now(UTC)
        is_renewed = abs(remaining - LEASE) < LEASE / 2
        row["lease_until"] = "renewed" if is_renewed else run.lease_until
    return row


@pytest.mark.parametrize("move", TRANSITIONS, ids=lambda move: move.name)
def test_move_changes_no_run_in_another_state(move):
    runs = {state: entered(state=state) for state in State}

    moved = move.apply(Run.objects.all(), reason="moved")

    assert moved == len(move.from_states)
    for state, run in runs.items():
        run.refresh_from_db()
        expected = (move.to_state, "moved") if state in move.from_states else (state, "")
        assert (run.state, run.reason) == expected


def test_move_of_locked_runs_changes_no_run_in_another_state():
    runs = [entered(state=state) for state in State]

    moved = transitions.LOSE.apply_each(runs, {"reason"})

    assert moved == len(transitions.LOSE.from_states)
    assert {*Run.objects.filter(state="lost").values_list("pk", flat=True)} == {
        run.pk for run, state in zip(runs, State, strict=True) if state in ("lost", *Run.ACTIVE)
    }


def test_names_of_moves_are_unique():
    assert len({move.name for move in TRANSITIONS}) == len(TRANSITIONS)


def test_every_state_is_reached():
    reached = {*transitions.INITIAL_STATES, *(move.to_state for move in TRANSITIONS)}

    assert reached == {*State}


# --- Creation ---------------------------------------------------------------------------------

DEFINITION = Definition(
    periodic_task_id=7, periodic_task_name="Heartbeat", owner_id=None, task="heartbeat"
)


@pytest.mark.parametrize("state", State)
def test_run_is_created_only_in_an_initial_state(state):
    def create() -> Run:
        return new_run(DEFINITION, pk=uuid4(), slot_at=NOON, due_at=NOON, now=NOON, state=state)

    if state in transitions.INITIAL_STATES:
        assert create().state == state
    else:
        with pytest.raises(ValueError, match=f"No run is created in the state {state}"):
            create()


def test_run_of_empty_arguments_has_empty_json():
    empty = DEFINITION._replace(args="", kwargs=None)

    run = new_run(empty, pk=UUID(int=1), slot_at=NOON, due_at=NOON, now=NOON)

    assert (run.args, run.kwargs) == ("[]", "{}")
