"""POST /api/v1/runs/{id}/cancel/ and /retry/."""

import json
from datetime import UTC, datetime

import pytest

from scheduler_api.access.models import AuditEntry
from scheduler_api.runs import actions
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox
from tests.api.access.callers import account_of, service
from tests.api.http.responses import refusal
from tests.api.periodic_tasks.examples import mistakes
from tests.api.runs.examples import NOON, address, entered
from tests.conftest import caller

pytestmark = pytest.mark.both_databases

ENDS = sorted(set(Run.State.values) - set(Run.ACTIVE))
WAITING = [
    {"state": "pending"},
    {"state": "pending", "is_buffered": True},
    {"state": "queued"},
    {"state": "queued", "started_at": NOON, "lease_until": NOON, "attempts": 1},
]


def cancel(api, run, query=""):
    return api.post(f"{address(run)}cancel/{query}")


def retry(api, run, query=""):
    return api.post(f"{address(run)}retry/{query}")


# --- Cancel -----------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", WAITING)
def test_cancelled_run_does_not_start(api, columns):
    run = entered(**columns)
    began_at = datetime.now(UTC)

    response = cancel(api, run)

    assert response.status_code == 200
    assert (response.json()["state"], response.json()["reason"]) == (
        "cancelled",
        actions.CANCELLED,
    )
    run.refresh_from_db()
    assert (run.lease_until, run.is_buffered) == (None, False)
    assert run.finished_at >= began_at


def test_cancel_of_a_running_run_asks_its_worker_to_end_it(api):
    run = entered(state="running", started_at=NOON, attempts=1)

    response = cancel(api, run)

    assert response.status_code == 200
    run.refresh_from_db()
    assert run.is_cancel_requested
    assert (response.json()["state"], response.json()["reason"]) == (
        "running",
        actions.CANCEL_REQUESTED,
    )


@pytest.mark.parametrize("state", ENDS)
def test_cancel_of_an_ended_run_is_refused(api, state):
    run = entered(state=state)

    response = cancel(api, run)

    assert refusal(response) == (409, "has_ended")
    assert state in response.json()["detail"]
    run.refresh_from_db()
    assert run.state == state


@pytest.mark.parametrize("state", ["queued", "running"])
def test_dry_run_of_a_cancel_changes_nothing(api, state):
    run = entered(state=state)

    assert cancel(api, run, "?dry_run=true").status_code == 200

    run.refresh_from_db()
    assert (run.state, run.reason, run.is_cancel_requested) == (state, "", False)


def test_cancel_is_audited_with_the_caller(api):
    run = entered(state="queued")

    cancel(api, run)

    entry = AuditEntry.objects.latest("pk")
    assert (entry.operation, entry.object_id, entry.after) == ("cancel", 7, {"run": str(run.pk)})


# --- Retry ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(set(ENDS) - {"missed"}))
def test_retry_of_an_ended_run_creates_a_run(api, state):
    run = entered(
        state=state,
        args="[1]",
        kwargs='{"a": 2}',
        options='{"queue": "celery", "expires": "2027-01-01T00:00:00+00:00"}',
    )

    response = retry(api, run)

    assert response.status_code == 202
    again = Run.objects.exclude(pk=run.pk).get()
    assert response.headers["Location"].endswith(address(again))
    assert (again.trigger, again.state, again.slot_at) == ("retry", "pending", run.slot_at)
    assert (again.args, again.kwargs) == ("[1]", '{"a": 2}')
    assert json.loads(again.options) == {"queue": "celery"}, "what has expired is over"
    assert (again.periodic_task_id, again.periodic_task_name) == (7, "Heartbeat")
    assert Outbox.objects.get().run_ids == [str(again.pk)]
    entry = AuditEntry.objects.latest("pk")
    assert entry.after == {"run": str(again.pk), "retry_of": str(run.pk)}


@pytest.mark.parametrize("state", [*Run.ACTIVE, "missed"])
def test_retry_of_an_active_or_missed_run_is_refused(api, state):
    run = entered(state=state)

    assert refusal(retry(api, run)) == (409, "cannot_retry")
    assert Run.objects.count() == 1


def test_dry_run_of_a_retry_creates_nothing(api):
    run = entered(state="failed")

    response = retry(api, run, "?dry_run=true")

    assert (response.status_code, response.json()["id"]) == (200, None)
    assert Run.objects.count() == 1


def test_retry_needs_the_right_to_the_task_name(db):
    narrow = service("narrow", sees_unowned=True, task_patterns=["project.tasks.add"])

    response = retry(narrow, entered(state="failed"))

    assert (response.status_code, mistakes(response)) == (400, [("", "not_allowed")])


# --- Both -------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [cancel, retry])
def test_run_of_another_owner_is_not_found(db, act):
    service("owner")
    run = entered(state="failed", owner_id=account_of("owner").pk)

    assert refusal(act(service("other"), run)) == (404, "not_found")


@pytest.mark.parametrize("act", [cancel, retry])
def test_action_without_the_write_scope_is_refused(db, act):
    reader = caller("reader", sees_unowned=True, scopes=["runs:read"])

    assert refusal(act(reader, entered(state="failed"))) == (403, "forbidden")
