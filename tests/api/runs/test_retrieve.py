"""GET /api/v1/runs/{id}/."""

from datetime import timedelta

import pytest

from scheduler_api.runs.models import Run
from tests.api.periodic_tasks.examples import stored
from tests.api.runs.examples import NOON, RUNS, address, entered, run_of

pytestmark = pytest.mark.both_databases

SECOND = timedelta(seconds=1)
ENDED = {
    "queued_at": NOON + 3 * SECOND,
    "started_at": NOON + 4.25 * SECOND,
    "finished_at": NOON + 6.5 * SECOND,
    "worker": "celery@here",
    "attempts": 1,
}


def test_queued_run_is_shown(api):
    run = entered(
        state=Run.State.QUEUED,
        due_at=NOON + SECOND,
        created_at=NOON + 2 * SECOND,
        queued_at=NOON + 3 * SECOND,
    )

    response = api.get(address(run))

    assert response.status_code == 200
    assert response.json() == {
        "id": str(run.pk),
        "periodic_task": 7,
        "periodic_task_name": "Heartbeat",
        "task": "project.tasks.heartbeat",
        "trigger": "schedule",
        "slot_at": "2027-06-01T12:00:00Z",
        "due_at": "2027-06-01T12:00:01Z",
        "slot_count": 1,
        "last_slot_at": None,
        "state": "queued",
        "reason": "",
        "created_at": "2027-06-01T12:00:02Z",
        "queued_at": "2027-06-01T12:00:03Z",
        "started_at": None,
        "finished_at": None,
        "queue_seconds": None,
        "duration_seconds": None,
        "worker": "",
        "attempts": 0,
        "args": [],
        "kwargs": {},
        "result": None,
        "is_result_truncated": False,
        "error": None,
    }


def test_succeeded_run_is_shown_with_its_result(api):
    run = entered(
        **ENDED, state=Run.State.SUCCEEDED, result='{"rows": 3}', args="[1]", kwargs='{"a": 2}'
    )

    shown = api.get(address(run)).json()

    assert (shown["started_at"], shown["finished_at"]) == (
        "2027-06-01T12:00:04.250000Z",
        "2027-06-01T12:00:06.500000Z",
    )
    assert (shown["queue_seconds"], shown["duration_seconds"]) == (1.25, 2.25)
    assert (shown["worker"], shown["attempts"]) == ("celery@here", 1)
    assert (shown["args"], shown["kwargs"], shown["result"]) == ([1], {"a": 2}, {"rows": 3})
    assert shown["error"] is None


def test_run_that_failed_twice_is_shown_with_its_error(api):
    run = entered(
        **{**ENDED, "attempts": 2},
        state=Run.State.FAILED,
        error_type="ValueError",
        error_message="no such file",
        traceback="Traceback: …",
    )

    shown = api.get(address(run)).json()

    assert shown["error"] == {
        "type": "ValueError",
        "message": "no such file",
        "traceback": "Traceback: …",
    }
    assert shown["result"] is None
    assert (shown["queue_seconds"], shown["duration_seconds"]) == (None, 2.25)


def test_run_started_before_its_confirmation_has_no_queue_time(api):
    run = entered(**{**ENDED, "queued_at": NOON + 5 * SECOND}, state=Run.State.SUCCEEDED)

    assert api.get(address(run)).json()["queue_seconds"] == 0


def test_truncated_result_is_marked(api):
    run = entered(**ENDED, result='"[1, 2, "', is_result_truncated=True)

    shown = api.get(address(run)).json()

    assert (shown["result"], shown["is_result_truncated"]) == ("[1, 2, ", True)


def test_missed_slots_in_a_row_are_one_run(api):
    run = entered(
        state=Run.State.MISSED, slot_count=60, last_slot_at=NOON + 59 * SECOND, reason="Too late."
    )

    shown = api.get(address(run)).json()

    assert (shown["state"], shown["reason"], shown["slot_count"]) == ("missed", "Too late.", 60)
    assert shown["last_slot_at"] == "2027-06-01T12:00:59Z"
    assert shown["queued_at"] is None


@pytest.mark.parametrize("state", Run.State.values)
def test_run_in_each_state_is_shown(api, state):
    assert api.get(address(entered(state=state))).json()["state"] == state


@pytest.mark.parametrize("trigger", Run.Trigger.values)
def test_run_of_each_trigger_is_shown(api, trigger):
    run = entered(trigger=trigger, slot_at=None, due_at=NOON)

    shown = api.get(address(run)).json()

    assert (shown["trigger"], shown["slot_at"]) == (trigger, None)


def test_run_outlives_its_periodic_task(api):
    task = stored()
    run = run_of(task)
    task.delete()

    shown = api.get(address(run)).json()

    assert (shown["periodic_task"], shown["periodic_task_name"]) == (
        run.periodic_task_id,
        task.name,
    )


def test_run_keeps_the_former_name_of_its_periodic_task(api):
    task = stored(name="Old")
    run = run_of(task)
    api.patch(f"/api/v1/periodic-tasks/{task.pk}/", {"name": "New"})

    assert api.get(address(run)).json()["periodic_task_name"] == "Old"


def test_run_with_a_current_etag_is_not_modified(api):
    run = entered()
    tag = api.get(address(run)).headers["ETag"]

    unchanged = api.get(address(run), headers={"If-None-Match": tag})
    Run.objects.filter(pk=run.pk).update(state=Run.State.QUEUED)
    moved = api.get(address(run), headers={"If-None-Match": tag})

    assert unchanged.status_code == 304
    assert (moved.status_code, moved.json()["state"]) == (200, "queued")


def test_secrets_of_a_run_are_redacted(api, canary):
    run = entered(args='["seen"]', kwargs=f'{{"password": "{canary}"}}')

    response = api.get(address(run))

    assert canary not in response.content.decode()
    assert (response.json()["args"], response.json()["kwargs"]) == (["seen"], {"password": "***"})


@pytest.mark.parametrize(
    "unknown",
    ["00000000-0000-0000-0000-000000000000", "0", "7" * 36, "7" * 37, "-", "run", "abc%20def"],
)
def test_unknown_run_is_not_found(api, unknown):
    entered()

    response = api.get(f"{RUNS}{unknown}/")

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_run_with_an_unknown_parameter_is_refused(api):
    response = api.get(address(entered()), {"expand": "periodic_task"})

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "expand"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_write_to_a_run_is_refused(api, method):
    run = entered()

    at_one = getattr(api, method)(address(run), {"state": "succeeded"})

    assert at_one.status_code == 405
    assert Run.objects.get().state == Run.State.PENDING


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_write_to_all_runs_is_refused(api, method):
    assert getattr(api, method)(RUNS, {"state": "succeeded"}).status_code == 405
