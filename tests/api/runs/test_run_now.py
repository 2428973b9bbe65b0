"""POST /api/v1/periodic-tasks/{id}/runs/."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from scheduler_api.access.models import AuditEntry
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox
from tests.api.access.callers import account_of, service
from tests.api.http.responses import refusal
from tests.api.periodic_tasks.examples import TASKS, heartbeat, mistakes, stored_import, update_row
from tests.api.runs.examples import RUNS, of
from tests.conftest import caller

pytestmark = pytest.mark.both_databases


@pytest.fixture
def task(db):
    return stored_import()


def payload(run: Run) -> tuple[object, object, object]:
    return json.loads(run.args), json.loads(run.kwargs), json.loads(run.options)


def test_requested_run_is_sent_at_once_with_the_task_arguments(api, task):
    update_row(task, queue="celery", priority=3)
    began_at = datetime.now(UTC)

    response = api.post(of(task))

    assert response.status_code == 202
    run = Run.objects.get()
    shown = response.json()
    assert response.headers["Location"].endswith(f"{RUNS}{run.pk}/")
    assert shown == api.get(response.headers["Location"]).json()
    assert (shown["trigger"], shown["state"], shown["slot_at"]) == ("manual", "pending", None)
    assert (shown["args"], shown["kwargs"]) == (["arg1", "arg2"], {"be_careful": True})
    assert payload(run) == (
        ["arg1", "arg2"],
        {"be_careful": True},
        {"queue": "celery", "priority": 3},
    )
    [batch] = Outbox.objects.all()
    assert batch.run_ids == [str(run.pk)]
    assert began_at <= batch.retry_at <= datetime.now(UTC)


def test_requested_run_takes_other_arguments(api, task):
    response = api.post(of(task), {"args": ["x", "y"], "kwargs": {"be_careful": False}})

    assert (response.status_code, payload(Run.objects.get())[:2]) == (
        202,
        (["x", "y"], {"be_careful": False}),
    )
    task.refresh_from_db()
    assert json.loads(task.args) == ["arg1", "arg2"], "only this run has them"


def test_requested_run_takes_empty_arguments(api, task):
    response = api.post(of(task), {"args": [], "kwargs": {"arg1": 1, "arg2": 2}})

    assert response.status_code == 400
    assert ("/kwargs/arg1", "wrong_type") in mistakes(response) or mistakes(response)


@pytest.mark.parametrize(
    ("sent", "where"),
    [
        ({"args": ["one"]}, "/kwargs/arg2"),
        ({"args": ["a", "b", "c", "d"]}, "/args/3"),
        ({"kwargs": {"be_carefull": True}}, "/kwargs/be_carefull"),
        ({"args": "a"}, "/args"),
        ({"kwargs": []}, "/kwargs"),
        ({"arguments": []}, "/arguments"),
        ({"kwargs": {"password": "***"}}, "/kwargs/password"),
    ],
)
def test_requested_run_with_invalid_arguments_is_refused(api, task, sent, where):
    response = api.post(of(task), sent)

    assert response.status_code == 400
    assert any(pointer.startswith(where) for pointer, _ in mistakes(response)), mistakes(response)
    assert not Run.objects.exists()
    assert not Outbox.objects.exists()


@pytest.mark.parametrize("body", [[], "text", 7])
def test_requested_run_with_a_body_other_than_an_object_is_refused(api, task, body):
    assert api.post(of(task), body).status_code == 400


def test_requested_run_keeps_the_secret_behind_stars(api, canary):
    task = stored_import(
        task="project.tasks.sign_in", args='["anna"]', kwargs=json.dumps({"password": canary})
    )

    response = api.post(of(task), {"args": ["bert"], "kwargs": {"password": "***"}})

    assert response.json()["kwargs"] == {"password": "***"}
    assert payload(Run.objects.get())[:2] == (["bert"], {"password": canary})
    # The ledger has it, as beat has to send it; the test is over with it.
    Run.objects.all().delete()
    task.delete()


@pytest.mark.parametrize("columns", [{"enabled": False}, {"total_run_count": 3, "one_off": True}])
def test_requested_run_needs_no_slot(api, task, columns):
    update_row(task, **columns)

    assert api.post(of(task)).status_code == 202

    task.refresh_from_db()
    assert (task.last_run_at, task.total_run_count) == (None, columns.get("total_run_count", 0))


def test_paused_task_runs_on_request(api):
    task = api.post(TASKS, heartbeat()).json()
    api.post(f"{TASKS}{task['id']}/pause/")

    assert api.post(f"{TASKS}{task['id']}/runs/").status_code == 202


def test_requested_run_expires_as_a_scheduled_one(api, task):
    update_row(task, expire_seconds=60)

    api.post(of(task))

    expires = datetime.fromisoformat(payload(Run.objects.get())[2]["expires"])
    assert timedelta(seconds=50) < expires - datetime.now(UTC) <= timedelta(seconds=60)


def test_requested_run_of_an_unsendable_task_is_refused(api, task):
    update_row(task, queue="nowhere")

    response = api.post(of(task))

    assert refusal(response) == (409, "not_sendable")
    assert "nowhere" in response.json()["detail"]
    assert not Run.objects.exists()


def test_dry_run_of_a_request_sends_nothing(api, task):
    response = api.post(f"{of(task)}?dry_run=true")

    assert (response.status_code, response.json()["id"]) == (200, None)
    assert "Location" not in response.headers
    assert not Run.objects.exists()


def test_request_with_the_same_idempotency_key_runs_once(api, task):
    first, second = (api.post(of(task), headers={"Idempotency-Key": "one"}) for _ in range(2))

    assert first.json() == second.json()
    assert Run.objects.count() == 1


def test_requested_run_is_audited_with_the_caller(api, task):
    api.post(of(task), {"args": ["x", "y"]})

    entry = AuditEntry.objects.latest("pk")
    assert (entry.operation, entry.object_type, entry.object_id) == (
        "run",
        "periodic_task",
        task.pk,
    )
    assert entry.after["run"] == str(Run.objects.get().pk)
    assert entry.after["args"] == ["x", "y"]


def test_requested_run_belongs_to_the_owner_of_the_task(api):
    owner = service("owner")
    task_id = owner.post(TASKS, heartbeat()).json()["id"]

    assert owner.post(f"{TASKS}{task_id}/runs/").status_code == 202
    assert api.post(f"{TASKS}{task_id}/runs/").status_code == 202
    assert service("other").post(f"{TASKS}{task_id}/runs/").status_code == 404
    owner_id = account_of("owner").pk
    assert set(Run.objects.values_list("owner_id", flat=True)) == {owner_id}


def test_request_needs_the_right_to_the_task_name(task):
    narrow = service("narrow", sees_unowned=True, task_patterns=["project.tasks.add"])

    response = narrow.post(of(task))

    assert response.status_code == 400
    assert mistakes(response) == [("/task", "not_allowed")]


def test_request_without_the_write_scope_is_refused(task):
    reader = caller("reader", sees_unowned=True, scopes=["runs:read"])

    assert reader.post(of(task)).status_code == 403
