"""An account sees the runs that were its own when they were entered, and others' are not there."""

import pytest
from django_celery_beat.models import PeriodicTask

from tests.api.access.callers import account_of, service
from tests.api.http.responses import refusal
from tests.api.periodic_tasks.examples import TASKS, heartbeat
from tests.api.runs.examples import RUNS, address, entered, of, reasons, run_of
from tests.client import ContractClient

LISTS = {
    "owner": ["owners"],
    "other": ["others"],
    "seer": ["nobodys"],
    "api": ["nobodys", "others", "owners"],
}
MAY = [(principal, name) for principal, names in LISTS.items() for name in names]
MAY_NOT = [
    (principal, name)
    for principal, names in LISTS.items()
    for name in LISTS["api"]
    if name not in names
]


@pytest.fixture
def owner(db):
    return service("owner")


@pytest.fixture
def other(db):
    return service("other")


@pytest.fixture
def seer(db):
    return service("seer", sees_unowned=True)


@pytest.fixture
def everybodys(owner, other, seer):
    """A run of each of two accounts, and one of nobody's, by their reasons."""
    owners = {"owners": account_of("owner").pk, "others": account_of("other").pk, "nobodys": None}
    return {
        name: entered(reason=name, owner_id=owner_id, worker="celery@here")
        for name, owner_id in owners.items()
    }


@pytest.fixture
def task(owner):
    """A periodic task of the owner's."""
    return PeriodicTask.objects.get(pk=owner.post(TASKS, heartbeat()).json()["id"])


@pytest.mark.both_databases
@pytest.mark.parametrize("principal", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"periodic_task": "7"},
        {"periodic_task_name": "Heartbeat"},
        {"task": "project.tasks.heartbeat"},
        {"state": "pending,queued"},
        {"trigger": "schedule"},
        {"slot_at_after": "2000-01-01T00:00:00Z"},
        {"created_at_after": "2000-01-01T00:00:00Z"},
        {"worker": "celery@here"},
        {"ordering": "created_at"},
        {"page_size": "1"},
    ],
)
def test_list_has_the_runs_that_the_caller_may_see(request, everybodys, principal, query):
    client = request.getfixturevalue(principal)
    page = client.get(RUNS, query)

    found = reasons(page)
    while page.json()["next"]:
        page = client.get(page.json()["next"])
        found += reasons(page)

    assert sorted(found) == LISTS[principal]


@pytest.mark.parametrize(("principal", "name"), MAY)
def test_run_of_the_caller_is_found(request, everybodys, principal, name):
    client = request.getfixturevalue(principal)

    assert client.get(address(everybodys[name])).json()["reason"] == name


@pytest.mark.parametrize(("principal", "name"), MAY_NOT)
def test_run_of_another_account_is_not_found(request, everybodys, principal, name):
    client = request.getfixturevalue(principal)
    nothing = client.get(f"{RUNS}00000000-0000-0000-0000-000000000000/")

    response = client.get(address(everybodys[name]))

    assert refusal(response) == refusal(nothing) == (404, "not_found")
    assert response.json()["detail"] == nothing.json()["detail"]


def test_runs_of_a_periodic_task_are_found_by_its_owner_and_admin(owner, api, task):
    run_of(task, reason="run")

    for client in (owner, api):
        assert reasons(client.get(of(task))) == ["run"]


def test_runs_of_a_periodic_task_are_not_found_by_others(other, seer, task):
    run_of(task)

    for client in (other, seer):
        response, nothing = client.get(of(task)), client.get(f"{TASKS}999999/runs/")

        assert refusal(response) == refusal(nothing) == (404, "not_found")
        assert response.json()["detail"] == nothing.json()["detail"]


@pytest.mark.both_databases
def test_runs_of_a_deleted_periodic_task_stay_with_its_owner(owner, other, task):
    run = run_of(task, reason="run")
    query = {"periodic_task": str(task.pk)}
    assert owner.delete(f"{TASKS}{task.pk}/").status_code == 204

    assert reasons(owner.get(RUNS, query)) == ["run"]
    assert owner.get(address(run)).status_code == 200
    assert reasons(other.get(RUNS, query)) == []
    assert other.get(address(run)).status_code == 404


def test_cursor_of_another_account_shows_none_of_its_runs(owner, other):
    for name in ("owner", "other") * 3:
        entered(reason=name, owner_id=account_of(name).pk)
    first = owner.get(RUNS, {"page_size": 1}).json()
    second = owner.get(first["next"]).json()

    for link in (first["next"], second["next"], second["previous"]):
        assert set(reasons(other.get(link))) <= {"other"}


def test_runs_without_a_key_are_refused(everybodys, task):
    for path in (RUNS, address(everybodys["nobodys"]), of(task)):
        assert refusal(ContractClient().get(path)) == (401, "not_authenticated")
