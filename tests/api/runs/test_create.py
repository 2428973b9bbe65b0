"""POST /api/v1/runs/: run a periodic task by id or name, or a task without a definition."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from scheduler_api.access.models import AuditEntry
from scheduler_api.runs import retention, retry_policy, waiting
from scheduler_api.runs.events import FailureStreak, RunEvent
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox
from tests.api.access.callers import account_of, service
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import TASKS, heartbeat, stored_import
from tests.api.runs.examples import RUNS, of
from tests.conftest import caller

pytestmark = pytest.mark.both_databases

ADD = {"task": "project.tasks.add", "args": [19, 23]}
SUCCESS = {"result": "42", "is_result_truncated": False}


def same(run: dict) -> dict:
    """Return the fields of a run that do not depend on the moment of its request."""
    return {
        name: value for name, value in run.items() if name not in {"id", "due_at", "created_at"}
    }


# --- A periodic task ----------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["periodic_task", "periodic_task_name"])
@pytest.mark.parametrize("arguments", [{}, {"args": ["x", "y"], "kwargs": {"be_careful": False}}])
def test_run_by_id_or_name_equals_the_run_at_the_url_of_the_task(api, source, arguments):
    task = stored_import(queue="celery", priority=3)
    given = {"periodic_task": task.pk, "periodic_task_name": task.name}[source]

    at_url = api.post(of(task), arguments)
    response = api.post(RUNS, {source: given, **arguments})

    assert response.status_code == 202
    assert same(response.json()) == same(api.get(at_url.headers["Location"]).json())
    assert response.json() == api.get(response.headers["Location"]).json()
    first, second = Run.objects.order_by("created_at")
    assert (first.options, first.owner_id) == (second.options, second.owner_id)
    assert Outbox.objects.count() == 2


@pytest.mark.parametrize("sent", [{"periodic_task": 999_999}, {"periodic_task_name": "nothing"}])
def test_run_of_an_unknown_periodic_task_is_refused(api, sent):
    response = api.post(RUNS, sent)

    assert response.status_code == 400
    assert mistakes(response) == [(f"/{next(iter(sent))}", "does_not_exist")]


@pytest.mark.parametrize("source", ["id", "name"])
def test_periodic_task_of_another_account_does_not_exist(db, source):
    owner, other = service("owner"), service("other")
    task = owner.post(TASKS, heartbeat()).json()
    field = {"id": "periodic_task", "name": "periodic_task_name"}[source]

    response = other.post(RUNS, {field: task[source]})

    assert mistakes(response) == [(f"/{field}", "does_not_exist")]
    assert not Run.objects.exists()


# --- A task without a definition ----------------------------------------------------------------


def test_run_of_a_task_has_no_definition_and_belongs_to_its_account(db):
    owner, other = service("owner"), service("other")

    response = owner.post(RUNS, ADD)

    assert response.status_code == 202
    shown = response.json()
    assert (shown["periodic_task"], shown["periodic_task_name"]) == (None, "")
    assert (shown["task"], shown["args"], shown["kwargs"]) == (ADD["task"], [19, 23], {})
    assert (shown["trigger"], shown["state"]) == ("manual", "pending")
    run = Run.objects.get()
    assert run.owner_id == account_of("owner").pk
    assert [batch.run_ids for batch in Outbox.objects.all()] == [[str(run.pk)]]
    assert owner.get(response.headers["Location"]).json() == shown
    assert other.get(response.headers["Location"]).status_code == 404


def test_options_of_a_run_of_a_task_reach_its_message(api):
    began = datetime.now(UTC)

    api.post(RUNS, {**ADD, "queue": "celery", "priority": 7, "expire_seconds": 60})

    options = json.loads(Run.objects.get().options)
    expires = datetime.fromisoformat(options.pop("expires"))
    assert options == {"queue": "celery", "priority": 7}
    assert timedelta(seconds=59) < expires - began < timedelta(seconds=90)


def test_audit_has_the_run_of_a_task(api):
    run = api.post(RUNS, ADD).json()

    entry = AuditEntry.objects.get(operation="run")
    assert (entry.object_type, entry.object_id) == ("run", None)
    assert entry.after == {"run": run["id"], "args": [19, 23], "kwargs": {}}


def test_run_of_a_task_can_be_cancelled_and_retried(api):
    first = api.post(RUNS, ADD).json()

    cancelled = api.post(f"{RUNS}{first['id']}/cancel/")
    again = api.post(f"{RUNS}{first['id']}/retry/")

    assert cancelled.json()["state"] == "cancelled"
    assert again.status_code == 202
    assert same(again.json()) == {**same(first), "trigger": "retry"}


@pytest.mark.parametrize("state", ["failed", "lost"])
def test_failure_of_a_run_of_a_task_ends_it_without_a_streak(api, state):
    run_id = api.post(RUNS, ADD).json()["id"]
    Run.objects.update(state="running", started_at=datetime.now(UTC), attempts=1)
    [run] = Run.objects.select_for_update()

    retry_policy.give_up([run], at=datetime.now(UTC), state=state)

    assert api.get(f"{RUNS}{run_id}/").json()["state"] == state
    assert not FailureStreak.objects.exists()
    assert [(event.kind, event.periodic_task_id) for event in RunEvent.objects.all()] == [
        (f"run.{state}", None)
    ]


def test_success_of_a_run_of_a_task_is_recorded(api):
    api.post(RUNS, ADD)
    [run] = Run.objects.all()
    Run.objects.update(state="running", started_at=run.created_at)

    assert retry_policy.recover(
        str(run.pk), at=datetime.now(UTC), started_at=run.created_at, **SUCCESS
    )

    assert api.get(f"{RUNS}{run.pk}/").json()["result"] == 42


def test_lists_and_statistics_show_runs_of_tasks(api):
    api.post(RUNS, ADD)

    listed = api.get(RUNS).json()["results"]
    grouped = api.get(f"{RUNS}stats/", {"group_by": "periodic_task"}).json()["results"]

    assert [run["periodic_task"] for run in listed] == [None]
    assert [(group["periodic_task"], group["count"]) for group in grouped] == [(None, 1)]


def test_retention_keeps_a_number_of_runs_without_a_definition_per_account(db):
    at = datetime(2027, 3, 28, tzinfo=UTC)
    for owner_id in (1, 2):
        for age in range(5):
            Run.objects.create(
                id=uuid4(),
                periodic_task_id=None,
                task="project.tasks.add",
                owner_id=owner_id,
                state="succeeded",
                due_at=at - timedelta(days=2 + age),
                created_at=at - timedelta(days=2 + age),
            )

    removed = retention.prune(at=at, older_than=timedelta(days=30), kept_per_task=3)

    assert removed == 4
    assert sorted(Run.objects.values_list("owner_id", flat=True)) == [1, 1, 1, 2, 2, 2]


# --- Refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, [("/periodic_task", "required")]),
        ({"args": []}, [("/periodic_task", "required")]),
        ({"periodic_task": 1, "task": "project.tasks.add"}, [("/task", "ambiguous")]),
        ({"periodic_task": 1, "periodic_task_name": "x"}, [("/periodic_task_name", "ambiguous")]),
        (
            {"periodic_task": 1, "periodic_task_name": "x", "task": "y"},
            [("/periodic_task_name", "ambiguous"), ("/task", "ambiguous")],
        ),
        ({"periodic_task": 1, "queue": "celery"}, [("/queue", "ambiguous")]),
        ({"periodic_task": 1, "priority": 1}, [("/priority", "ambiguous")]),
        ({"periodic_task": 1, "expire_seconds": 1}, [("/expire_seconds", "ambiguous")]),
        ({"task": "project.tasks.unknown"}, [("/task", "unregistered_task")]),
        ({"task": "project.tasks.add"}, [("/kwargs/x", "missing_argument")]),
        ({**ADD, "args": ["a", "b"]}, [("/args/0", "invalid_argument")]),
        ({**ADD, "queue": "nowhere"}, [("/queue", "unknown_queue")]),
        ({**ADD, "priority": 256}, [("/priority", "max_value")]),
        ({**ADD, "expire_seconds": 0}, [("/expire_seconds", "min_value")]),
        ({**ADD, "countdown": 5}, [("/countdown", "unknown_field")]),
    ],
)
def test_run_without_one_valid_source_is_refused(api, sent, expected):
    response = api.post(RUNS, sent)

    assert response.status_code == 400
    assert {*expected} <= {*mistakes(response)}, mistakes(response)
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("limits", "sent", "where"),
    [
        ({"task_patterns": ["billing.*"]}, ADD, "/task"),
        ({"queues": ["reports"]}, ADD, "/queue"),
    ],
)
def test_run_of_a_task_beyond_the_limits_of_the_account_is_refused(db, limits, sent, where):
    limited = service("limited", **limits)

    response = limited.post(RUNS, sent)

    assert mistakes(response) == [(where, "not_allowed")]


def test_run_needs_the_scope_to_write_runs(db):
    reader = caller("reader", scopes=["runs:read"])

    assert refusal(reader.post(RUNS, ADD)) == (403, "forbidden")


# --- Wait ---------------------------------------------------------------------------------------


@pytest.fixture
def ends_soon(monkeypatch):
    """Let the run end when the request looks at it a second time."""

    def pause(seconds: float) -> None:
        Run.objects.update(state="succeeded", result="42")

    monkeypatch.setattr(waiting, "sleep", pause)


@pytest.mark.parametrize("operation", ["create", "run_now", "retry"])
def test_request_with_wait_returns_the_run_after_its_end(api, ends_soon, operation):
    task = stored_import()
    ended = api.post(RUNS, ADD).json()
    Run.objects.update(state="failed")
    url, body = {
        "create": (RUNS, ADD),
        "run_now": (of(task), {}),
        "retry": (f"{RUNS}{ended['id']}/retry/", None),
    }[operation]

    response = api.post(f"{url}?wait=30", body)

    assert response.status_code == 202
    assert (response.json()["state"], response.json()["result"]) == ("succeeded", 42)
    assert response.headers["Location"].endswith(f"{RUNS}{response.json()['id']}/")


def test_idempotent_repeat_waits_for_the_run_of_the_first_request(api, ends_soon):
    key = {"HTTP_IDEMPOTENCY_KEY": "one"}

    first = api.post(f"{RUNS}?wait=30", ADD, **key)
    second = api.post(f"{RUNS}?wait=30", ADD, **key)

    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Run.objects.count() == 1


def test_wait_needs_the_scope_to_read_runs(db):
    writer = caller("writer", scopes=["runs:write"])

    assert refusal(writer.post(f"{RUNS}?wait=1", ADD)) == (403, "forbidden")
    assert not Run.objects.exists()
    assert writer.post(f"{RUNS}?wait=0", ADD).status_code == 202


def test_dry_run_does_not_wait(api):
    response = api.post(f"{RUNS}?wait=30&dry_run=true", ADD)

    assert (response.status_code, response.json()["id"]) == (200, None)
    assert not Run.objects.exists()
