"""Warnings about a definition that will not run, or that the settings overwrite."""

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django_celery_beat.models import ClockedSchedule, PeriodicTask

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.settings_entries import store_entries
from tests.api.periodic_tasks.examples import TASKS, address, heartbeat, mistakes, stored
from tests.scheduler.engines import HOUR, NOON, TestedEngine

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

BATCH, MANIFEST = f"{TASKS}batch/", "/api/v1/manifest/"
AT_ONE = {"type": "clocked", "clocked_time": "2027-06-01T13:00:00Z"}


def codes(body: dict[str, Any]) -> set[str]:
    """Return the codes of a definition's warnings, but for those about workers."""
    return {warning["code"] for warning in body["warnings"]} - {"no_worker", "unregistered_task"}


# --- A moment that has passed -----------------------------------------------------------------


@pytest.fixture
def clock(time_machine: Any) -> Any:
    time_machine.move_to(NOON, tick=False)
    return time_machine


@pytest.fixture
def beat(clock: Any) -> TestedEngine:
    return TestedEngine()


@pytest.fixture
def paused(api: Any, beat: TestedEngine, clock: Any) -> str:
    """The address of a clocked task that was paused before its moment, an hour after it."""
    at = f"{TASKS}{api.post(TASKS, heartbeat(schedule=AT_ONE)).json()['id']}/"
    beat.run()
    assert codes(api.post(f"{at}pause/").json()) == set()
    beat.run()
    clock.move_to(NOON + 2 * HOUR, tick=False)
    beat.run(at=NOON + 2 * HOUR)
    return at


def by_resume(api: Any, at: str) -> Any:
    return api.post(f"{at}resume/").json()


def by_batch(api: Any, at: str) -> Any:
    operation = {"op": "resume", "id": int(at.split("/")[-2])}
    [result] = api.post(BATCH, {"operations": [operation]}).json()["results"]
    return result["body"]


@pytest.mark.parametrize("resume", [by_resume, by_batch])
def test_resume_after_the_moment_says_that_it_will_not_run(api, beat, paused, resume):
    resumed = resume(api, paused)

    assert codes(resumed) == codes(api.get(paused).json()) == {"moment_passed"}
    assert (resumed["enabled"], resumed["next_run_at"]) == (True, None)
    [warning] = [each for each in resumed["warnings"] if each["code"] == "moment_passed"]
    assert (warning["pointer"], "2027-06-01T13:00:00Z" in warning["detail"]) == ("/schedule", True)
    assert beat.run(at=NOON + 3 * HOUR) == []
    assert codes(api.get(paused).json()) == {"moment_passed"}

    later = {**AT_ONE, "clocked_time": "2027-06-01T16:00:00Z"}
    assert codes(api.patch(paused, {"schedule": later}).json()) == set()


@pytest.mark.parametrize("hours", [1, 2, 3])
def test_pause_beyond_the_moment_says_that_it_will_not_run(api, beat, hours):
    at = f"{TASKS}{api.post(TASKS, heartbeat(schedule=AT_ONE)).json()['id']}/"
    until = (NOON + hours * HOUR - timedelta(minutes=1)).isoformat()

    answer = api.post(f"{at}pause/", {"until": until}).json()

    assert codes(answer) == ({"moment_passed"} if hours > 1 else set())


def enable(api: Any, at: str) -> Any:
    return api.patch(at, {"enabled": True})


def put(api: Any, at: str) -> Any:
    return api.put(at, heartbeat(schedule=AT_ONE))


def put_by_name(api: Any, at: str) -> Any:
    return api.put(f"{TASKS}by-name/Heartbeat/", heartbeat(schedule=AT_ONE))


def update_in_batch(api: Any, at: str) -> Any:
    operation = {"op": "update", "id": int(at.split("/")[-2]), "body": {"enabled": True}}
    return api.post(BATCH, {"operations": [operation]})


def apply_manifest(api: Any, at: str) -> Any:
    document = {"version": 1, "periodic_tasks": [heartbeat(schedule=AT_ONE)]}
    return api.post(f"{MANIFEST}?mode=apply", document)


@pytest.mark.parametrize(
    "write",
    [enable, put, put_by_name, update_in_batch, apply_manifest],
    ids=lambda it: it.__name__,
)
def test_enabling_again_after_the_run_is_refused(api, beat, clock, write):
    at = f"{TASKS}{api.post(TASKS, heartbeat(schedule=AT_ONE)).json()['id']}/"
    beat.run()
    beat.run(at=NOON + HOUR)
    clock.move_to(NOON + 2 * HOUR, tick=False)
    beat.run(at=NOON + 2 * HOUR)
    assert (api.get(at).json()["enabled"], codes(api.get(at).json())) == (False, set())

    refused = write(api, at)

    assert refused.status_code == 400
    [(pointer, code)] = mistakes(refused)
    assert (pointer.rpartition("/")[2] in {"schedule", "clocked_time"}, code) == (
        True,
        "never_due",
    )


def test_overdue_clocked_task_has_no_warning(api, clock):
    clocked = ClockedSchedule.objects.create(clocked_time=NOON - timedelta(seconds=5))
    task = stored(interval=None, clocked=clocked, one_off=True)

    assert codes(api.get(address(task)).json()) == set()


# --- A quarantine -----------------------------------------------------------------------------


def test_quarantined_task_has_a_warning_with_its_error(api):
    task = stored()
    Agenda.objects.filter(pk=task.pk).update(last_error="There is no task.", failures=1)

    body = api.get(address(task)).json()

    assert codes(body) == {"quarantined"}
    assert "There is no task." in body["warnings"][-1]["detail"]


# --- Entries of the settings ------------------------------------------------------------------


@pytest.fixture
def entry(monkeypatch: Any) -> str:
    """The address of the stored entry `Heartbeat`."""
    entry = {"task": "project.tasks.heartbeat", "schedule": timedelta(hours=1)}
    monkeypatch.setitem(current_app.conf, "beat_schedule", {"Heartbeat": entry})
    store_entries(current_app)
    return address(PeriodicTask.objects.get(name="Heartbeat"))


def change(api: Any, at: str) -> dict[str, Any]:
    body: dict[str, Any] = api.patch(at, {"expire_seconds": 60}).json()
    return body


def replace(api: Any, at: str) -> dict[str, Any]:
    body: dict[str, Any] = api.put(at, heartbeat()).json()
    return body


def replace_by_name(api: Any, at: str) -> dict[str, Any]:
    body: dict[str, Any] = api.put(f"{TASKS}by-name/Heartbeat/", heartbeat()).json()
    return body


def change_in_batch(api: Any, at: str) -> dict[str, Any]:
    operation = {"op": "update", "id": int(at.split("/")[-2]), "body": {"expire_seconds": 60}}
    [result] = api.post(BATCH, {"operations": [operation]}).json()["results"]
    body: dict[str, Any] = result["body"]
    return body


@pytest.mark.parametrize("edit", [change, replace, replace_by_name, change_in_batch])
def test_edit_of_an_entry_of_the_settings_warns_that_it_will_be_overwritten(api, entry, edit):
    before = codes(api.get(entry).json())

    assert codes(edit(api, entry)) == {"overwritten_by_settings"}

    assert before == codes(api.get(entry).json()) == set()


def test_new_task_with_the_name_of_an_entry_has_the_warning(api, entry):
    PeriodicTask.objects.all().delete()

    assert codes(api.post(TASKS, heartbeat()).json()) == {"overwritten_by_settings"}
    assert codes(api.post(TASKS, heartbeat(name="Other")).json()) == set()


def test_manifest_names_the_entries_that_will_be_overwritten(api, entry):
    PeriodicTask.objects.all().delete()
    tasks = [heartbeat(), heartbeat(name="Other")]

    for mode in ("plan", "apply"):
        document = {"version": 1, "periodic_tasks": tasks}
        [warning] = api.post(f"{MANIFEST}?mode={mode}", document).json()["warnings"]
        assert (warning["name"], warning["code"]) == ("Heartbeat", "overwritten_by_settings")


def test_next_start_of_beat_overwrites_the_edit(api, entry):
    api.patch(entry, {"args": [], "schedule": {"type": "interval", "every": 5, "period": "days"}})

    store_entries(current_app)

    assert api.get(entry).json()["schedule"]["period"] == "seconds"
