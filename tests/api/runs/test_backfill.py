"""POST /api/v1/periodic-tasks/{id}/backfill/."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule
from time_machine import travel

from scheduler_api.access.models import AuditEntry
from scheduler_api.periodic_tasks.jitter import due_at
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.periodic_tasks.run_ids import run_id
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox
from scheduler_api.scheduler.planning import plan
from scheduler_api.scheduler.postgres_store import store_of_database
from tests.api.access.callers import account_of, service
from tests.api.http.responses import refusal
from tests.api.periodic_tasks.examples import (
    TASKS,
    heartbeat,
    mistakes,
    stored,
    stored_import,
    update_agenda,
    update_row,
)
from tests.api.runs.examples import NOON, RUNS, of, run_of
from tests.client import ContractClient
from tests.conftest import caller

pytestmark = pytest.mark.both_databases

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _noon(db):
    with travel(NOON, tick=False):
        yield


def every_minute(**columns):
    interval, _ = IntervalSchedule.objects.get_or_create(every=1, period="minutes")
    return stored(**{"interval": interval, **columns})


@pytest.fixture
def task():
    """A periodic task that is due every minute, and that beat has planned."""
    task = every_minute()
    plan(store_of_database(clock=lambda: NOON), NOON, limit=10)
    return task


def where(task) -> str:
    return f"{TASKS}{task.pk}/backfill/"


def between(start: datetime, end: datetime) -> dict[str, str]:
    return {"from": start.isoformat(), "until": end.isoformat()}


def fill(client, task, start: datetime, end: datetime) -> Any:
    response = client.post(where(task), between(start, end))
    assert response.status_code == 202, response.json()
    return response.json()


def numbers(answer) -> tuple[int, int, int]:
    return answer["count"], answer["in_ledger"], answer["left_to_beat"]


def slots_of(answer) -> list[datetime]:
    return [datetime.fromisoformat(run["slot_at"]) for run in answer["runs"]]


def test_backfill_creates_a_run_for_each_slot_of_the_range(api, task):
    response = api.post(where(task), between(NOON - HOUR, NOON - HOUR + 3 * MINUTE))

    assert response.status_code == 202
    assert numbers(response.json()) == (3, 0, 0)
    slots = [NOON - HOUR + number * MINUTE for number in range(3)]
    assert slots_of(response.json()) == slots, "the first is part of it, the end is not"
    listed = api.get(response.headers["Location"]).json()["results"]
    assert {run["id"] for run in listed} == {run_id(task.pk, slot) for slot in slots}
    assert {run["trigger"] for run in listed} == {"backfill"}
    assert {run["state"] for run in listed} == {"pending"}
    assert {run["reason"] for run in listed} == {
        "Waiting for its turn: runs of current slots go first."
    }
    assert not Outbox.objects.exists(), "beat takes them one after the other"


def test_backfilled_run_has_the_current_arguments_and_options(api):
    task = stored_import(expire_seconds=60, priority=4)
    ManagedTask.objects.create(periodic_task=task, jitter_seconds=20, owner=None)

    fill(api, task, NOON - MINUTE, NOON - MINUTE / 2)

    run = Run.objects.get()
    assert (json.loads(run.args), json.loads(run.kwargs)) == (
        ["arg1", "arg2"],
        {"be_careful": True},
    )
    assert json.loads(run.options) == {"priority": 4}, "its message does not expire"
    assert run.due_at == due_at(task.pk, run.slot_at, 20) > run.slot_at


def test_slot_with_a_run_is_not_backfilled(api, task):
    range_ = (NOON - 5 * MINUTE, NOON)
    for number, state in enumerate(("succeeded", "failed", "skipped", "queued"), start=1):
        slot_at = NOON - number * MINUTE
        run_of(task, pk=run_id(task.pk, slot_at), slot_at=slot_at, state=state)

    first, second = (fill(api, task, *range_) for _ in range(2))

    assert numbers(first) == (1, 4, 0)
    assert slots_of(first) == [NOON - 5 * MINUTE]
    assert numbers(second) == (0, 5, 0)
    assert second["runs"] == []
    assert Run.objects.count() == 5


def test_missed_slots_are_backfilled_once(api, task):
    """A stretch has a row, under the id of its first slot."""
    first_at = NOON - 10 * MINUTE
    stretch = run_of(
        task,
        pk=run_id(task.pk, first_at),
        slot_at=first_at,
        last_slot_at=NOON - 8 * MINUTE,
        slot_count=3,
        state="missed",
    )
    alone_at = NOON - 5 * MINUTE
    run_of(task, pk=run_id(task.pk, alone_at), slot_at=alone_at, state="missed")

    answers = [fill(api, task, NOON - 10 * MINUTE, NOON - 4 * MINUTE) for _ in range(2)]

    assert [numbers(answer) for answer in answers] == [(6, 0, 0), (0, 6, 0)]
    assert slots_of(answers[0]) == [NOON - number * MINUTE for number in (10, 9, 8, 7, 6, 5)]
    stretch.refresh_from_db()
    assert (stretch.state, stretch.slot_count) == ("missed", 3), (
        "the record of the missed slots stays"
    )
    assert Run.objects.filter(trigger="backfill").count() == 6


def test_slots_that_beat_has_yet_to_handle_are_left_to_beat(api, task):
    update_agenda(task, slot_at=NOON - 3 * MINUTE, due_at=NOON - 3 * MINUTE)

    answer = fill(api, task, NOON - 5 * MINUTE, NOON)

    assert numbers(answer) == (2, 0, 3)
    assert slots_of(answer) == [NOON - 5 * MINUTE, NOON - 4 * MINUTE]


@pytest.mark.parametrize(
    ("columns", "half"),
    [
        ({"enabled": False}, {}),
        ({"enabled": False}, {"paused_at": NOON - HOUR}),
        ({"enabled": False}, {"paused_at": NOON - HOUR, "paused_until": NOON + HOUR}),
        ({"expires": NOON - 2 * MINUTE}, {}),
    ],
)
def test_backfill_of_a_disabled_or_paused_task_creates_runs(api, columns, half):
    task = every_minute(**columns)
    ManagedTask.objects.create(periodic_task=task, **half)

    # The end of the schedule is one of its own.
    assert fill(api, task, NOON - 4 * MINUTE, NOON)["count"] == (2 if "expires" in columns else 4)


def test_backfill_leaves_out_slots_before_the_start_time(api):
    task = every_minute(start_time=NOON - 2 * MINUTE, enabled=False)

    assert len(slots_of(fill(api, task, NOON - HOUR, NOON))) == 2


def once(at: datetime) -> dict[str, Any]:
    return {"clocked": ClockedSchedule.objects.create(clocked_time=at), "one_off": True}


@pytest.mark.parametrize(
    ("schedule", "slots"),
    [
        (
            lambda: {"crontab": CrontabSchedule.objects.create(minute="0", hour="*/6")},
            [NOON - 2 * DAY + number * 6 * HOUR for number in range(4)],
        ),
        (
            lambda: once(NOON - 2 * DAY),
            [NOON - 2 * DAY],
        ),
        (
            lambda: once(NOON - HOUR),
            [],
        ),
    ],
    ids=["crontab", "clocked", "clocked elsewhere"],
)
def test_backfill_computes_the_slots_of_each_kind_of_schedule(api, schedule, slots):
    task = stored(**schedule(), enabled=False)

    assert slots_of(fill(api, task, NOON - 2 * DAY, NOON - DAY)) == slots


def test_backfill_of_a_one_off_task_creates_its_first_run(api):
    task = every_minute(one_off=True, enabled=False)

    assert slots_of(fill(api, task, NOON - HOUR, NOON)) == [NOON - HOUR]


# --- Refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ({}, ("/from", "required")),
        ({"from": "2027-06-01T11:00:00Z"}, ("/until", "required")),
        (between(NOON - HOUR, NOON + MINUTE), ("/until", "in_the_future")),
        (between(NOON, NOON), ("/until", "empty_range")),
        (between(NOON, NOON - HOUR), ("/until", "empty_range")),
        ({**between(NOON, NOON), "from": "1969-12-31T23:59:59Z"}, ("/from", "too_early")),
        ({**between(NOON - HOUR, NOON), "from": "noon"}, ("/from", "invalid")),
        ({**between(NOON - HOUR, NOON), "until": "2027-06-01T11:00:00"}, ("/until", "invalid")),
        ({**between(NOON - HOUR, NOON), "pace": 3}, ("/pace", "unknown_field")),
    ],
)
def test_backfill_of_an_invalid_range_is_refused(api, task, body, mistake):
    response = api.post(where(task), body)

    assert refusal(response) == (400, "validation_failed")
    assert mistake in mistakes(response)
    assert not Run.objects.exists()


def test_backfill_of_too_many_slots_is_refused_with_a_possible_end(api, task, settings):
    settings.MAX_BACKFILL = 5

    refused = api.post(where(task), between(NOON - HOUR, NOON))

    assert refusal(refused) == (400, "validation_failed")
    assert mistakes(refused) == [("/until", "too_many_slots")]
    assert "Until 2027-06-01T11:05:00Z it has 5." in refused.json()["detail"]
    assert fill(api, task, NOON - HOUR, NOON - 55 * MINUTE)["count"] == 5


def test_backfill_of_an_unsendable_task_is_refused(api, task):
    update_row(task, queue="nowhere")

    response = api.post(where(task), between(NOON - HOUR, NOON))

    assert refusal(response) == (409, "not_sendable")
    assert not Run.objects.exists()


def test_backfill_of_an_invalid_schedule_is_refused(api):
    spoilt, _ = IntervalSchedule.objects.get_or_create(every=5, period="fortnights")
    response = api.post(where(every_minute(interval=spoilt)), between(NOON - HOUR, NOON))

    assert refusal(response) == (409, "not_sendable")
    assert "fortnights" in response.json()["detail"]


def test_backfill_with_invalid_arguments_is_refused(api):
    task = stored_import(kwargs='{"be_carefull": true}')

    response = api.post(where(task), between(NOON - HOUR, NOON))

    assert refusal(response) == (400, "validation_failed")
    assert not Run.objects.exists()


# --- As every write ---------------------------------------------------------------------------


def test_dry_run_of_a_backfill_responds_alike_and_creates_nothing(api, task):
    body = between(NOON - HOUR, NOON - HOUR + 3 * MINUTE)

    rehearsed = api.post(f"{where(task)}?dry_run=true", body)

    assert rehearsed.status_code == 200
    assert not Run.objects.exists()
    assert rehearsed.json() == api.post(where(task), body).json()


def test_backfill_with_the_same_idempotency_key_is_replayed(api, task):
    body = between(NOON - HOUR, NOON - HOUR + 3 * MINUTE)

    answers = [api.post(where(task), body, headers={"Idempotency-Key": "one"}) for _ in range(2)]

    assert [numbers(answer.json()) for answer in answers] == [(3, 0, 0)] * 2


def test_backfill_is_audited_with_caller_and_range(api, task):
    fill(api, task, NOON - HOUR, NOON - HOUR + 3 * MINUTE)
    fill(api, task, NOON - HOUR, NOON - HOUR + 3 * MINUTE)

    [entry] = AuditEntry.objects.all()
    assert (entry.operation, entry.object_type, entry.object_id) == (
        "backfill",
        "periodic_task",
        task.pk,
    )
    assert entry.after == {
        "from": "2027-06-01T11:00:00Z",
        "until": "2027-06-01T11:03:00Z",
        "count": 3,
    }


def test_backfilled_runs_belong_to_the_owner_of_the_task():
    owner, other = service("owner"), service("other")
    task_id = owner.post(TASKS, heartbeat()).json()["id"]
    address, body = f"{TASKS}{task_id}/backfill/", between(NOON - MINUTE, NOON)

    assert owner.post(address, body).status_code == 202
    assert other.post(address, body).status_code == 404
    assert set(Run.objects.values_list("owner_id", flat=True)) == {account_of("owner").pk}


def test_backfill_needs_the_right_to_the_task_name(task):
    narrow = service("narrow", sees_unowned=True, task_patterns=["project.tasks.add"])

    response = narrow.post(where(task), between(NOON - HOUR, NOON))

    assert mistakes(response) == [("/task", "not_allowed")]


def test_backfill_without_the_write_scope_is_refused(task):
    reader = caller("reader", sees_unowned=True, scopes=["runs:read", "periodic-tasks:write"])

    assert reader.post(where(task), between(NOON - HOUR, NOON)).status_code == 403
    assert ContractClient().post(where(task), {}).status_code == 401


def test_buffered_run_is_cancelled(api, task):
    first, second = fill(api, task, NOON - HOUR, NOON - HOUR + 2 * MINUTE)["runs"]

    assert api.post(f"{RUNS}{first['id']}/cancel/").json()["state"] == "cancelled"
    assert fill(api, task, NOON - HOUR, NOON - HOUR + 2 * MINUTE)["in_ledger"] == 2
    waiting = api.get(of(task), {"state": "pending"}).json()["results"]
    assert [run["id"] for run in waiting] == [second["id"]]


def test_two_backfills_at_once_create_one_run_per_slot(two_at_once):
    start = datetime.now(UTC) - DAY
    task = every_minute(enabled=False)

    answers = two_at_once(lambda client, _: client.post(where(task), between(start, start + HOUR)))

    assert sorted(numbers(answer.json()) for answer in answers) == [(0, 60, 0), (60, 0, 0)]
    assert Run.objects.count() == 60
