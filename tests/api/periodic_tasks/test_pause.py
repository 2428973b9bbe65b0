"""`pause/` and `resume/`: a state apart from `enabled`, which keeps the last run."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django_celery_beat.models import ClockedSchedule, PeriodicTask

from scheduler_api.access.models import AuditEntry
from scheduler_api.periodic_tasks.actions import resume_due
from scheduler_api.periodic_tasks.models import ManagedTask
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import TASKS, address, heartbeat, names, stored, update_row
from tests.client import ContractClient

pytestmark = pytest.mark.both_databases

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOURLY = {"type": "interval", "every": 1, "period": "hours"}
HALF_PAST = {"type": "crontab", "minute": "30", "timezone": "UTC"}
UNTIL_TWO = {"note": "The CRM is being moved.", "until": "2027-06-01T14:00:00Z"}


@pytest.fixture(autouse=True)
def _at_noon(time_machine: Any):
    time_machine.move_to(NOON, tick=False)


def made(api: ContractClient, **fields: Any) -> str:
    """Create a periodic task that ran ten minutes ago; return its address."""
    pk = api.post(TASKS, heartbeat(**fields)).json()["id"]
    update_row(PeriodicTask.objects.get(pk=pk), last_run_at=NOON - 10 * MINUTE, total_run_count=7)
    return f"{TASKS}{pk}/"


def upcoming(api: ContractClient, at: str) -> list[str]:
    return [slot[11:16] for slot in api.get(f"{at}upcoming/?count=2").json()["upcoming"]]


def pause_state(answer: Any) -> tuple[Any, ...]:
    body = answer.json()
    return tuple(body[name] for name in ("enabled", "paused", "paused_until", "pause_note"))


NOT_PAUSED = (True, False, None, "")


# --- Pausing --------------------------------------------------------------------------------


def test_paused_task_has_no_slots_and_keeps_its_definition(api):
    at = made(api)

    response = api.post(f"{at}pause/", {"note": "Too loud"})

    assert response.status_code == 200
    assert pause_state(response) == (True, True, None, "Too loud")
    assert response.json() == api.get(at).json()
    assert response.json()["last_run_at"] == "2027-06-01T11:50:00Z"
    assert response.json()["total_run_count"] == 7
    assert response.json()["next_run_at"] is None
    assert upcoming(api, at) == []
    assert not PeriodicTask.objects.get().enabled, "a stock scheduler would run it"


def test_pause_without_note_and_end_is_accepted(api):
    at = made(api)

    assert pause_state(api.post(f"{at}pause/")) == (True, True, None, "")


@pytest.mark.parametrize(
    ("schedule", "slots"), [(HOURLY, ["15:00", "16:00"]), (HALF_PAST, ["14:30", "15:30"])]
)
def test_pause_with_an_end_shows_slots_after_it(api, schedule, slots):
    at = made(api, schedule=schedule)

    response = api.post(f"{at}pause/", UNTIL_TWO)

    assert pause_state(response) == (True, True, UNTIL_TWO["until"], UNTIL_TWO["note"])
    assert response.json()["next_run_at"][11:16] == slots[0]
    assert upcoming(api, at) == slots


def test_pause_of_a_paused_task_changes_note_and_end(api):
    at = made(api)
    api.post(f"{at}pause/", UNTIL_TWO)

    assert pause_state(api.post(f"{at}pause/", {"note": "Longer"})) == (True, True, None, "Longer")


def test_pause_is_idempotent(api):
    at = made(api)

    first, second = (api.post(f"{at}pause/", UNTIL_TWO) for _ in range(2))

    assert first.json() == second.json()
    assert first.headers["ETag"] == second.headers["ETag"]


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ({"until": "2027-06-01T12:00:00Z"}, ("/until", "in_the_past")),
        ({"until": "tomorrow"}, ("/until", "invalid")),
        ({"until": "2027-06-02T12:00:00"}, ("/until", "invalid")),
        ({"note": None}, ("/note", "null")),
        ({"note": "x" * 501}, ("/note", "max_length")),
        ({"notes": ""}, ("/notes", "unknown_field")),
        ([], ("", "invalid")),
    ],
)
def test_pause_with_an_invalid_body_is_refused(api, body, mistake):
    at = made(api)

    response = api.post(f"{at}pause/", body)

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [mistake]
    assert pause_state(api.get(at)) == NOT_PAUSED


def test_pause_of_an_unmanaged_task_leaves_it_unowned(api):
    task = stored()

    response = api.post(f"{address(task)}pause/")

    assert response.json()["paused"] is True
    assert (response.json()["owner"], response.json()["managed_by"]) == (None, "admin")


# --- Changes of a paused task ---------------------------------------------------------------


def test_change_of_a_paused_task_leaves_it_paused(api):
    at = made(api)
    api.post(f"{at}pause/", UNTIL_TWO)

    patched = api.patch(at, {"description": "New"})
    replaced = api.put(at, heartbeat(description="Newer"))

    for response in (patched, replaced):
        assert pause_state(response) == (True, True, UNTIL_TWO["until"], UNTIL_TWO["note"])
    assert not PeriodicTask.objects.get().enabled


def test_enabled_of_a_paused_task_takes_effect_after_the_pause(api):
    at = made(api)
    api.post(f"{at}pause/")

    assert pause_state(api.patch(at, {"enabled": False})) == (False, True, None, "")
    assert pause_state(api.post(f"{at}resume/")) == (False, False, None, "")


def test_resume_of_a_disabled_task_leaves_it_disabled(api):
    at = made(api, enabled=False)

    assert pause_state(api.post(f"{at}pause/")) == (False, True, None, "")
    assert pause_state(api.post(f"{at}resume/")) == (False, False, None, "")


def test_change_of_a_paused_task_to_a_never_due_schedule_is_refused(api):
    at = made(api)
    api.post(f"{at}pause/")

    response = api.patch(at, {"schedule": HALF_PAST, "expires": "2027-06-01T12:10:00Z"})

    assert mistakes(response) == [("/expires", "never_due")]


def test_enabling_the_row_outside_the_api_ends_the_pause(api):
    at = made(api)
    api.post(f"{at}pause/", UNTIL_TWO)
    PeriodicTask.objects.update(enabled=True)

    assert pause_state(api.get(at)) == NOT_PAUSED
    assert pause_state(api.patch(at, {"enabled": False})) == (False, False, None, "")
    assert resume_due(at=NOON + timedelta(days=1)) == []


# --- Resuming -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "slots"), [(HOURLY, ["16:00", "17:00"]), (HALF_PAST, ["15:30", "16:30"])]
)
def test_resume_continues_with_the_first_slot_from_now_on(api, time_machine, schedule, slots):
    at = made(api, schedule=schedule)
    api.post(f"{at}pause/", UNTIL_TWO)
    time_machine.move_to(NOON + timedelta(hours=3), tick=False)

    response = api.post(f"{at}resume/")

    assert pause_state(response) == NOT_PAUSED
    assert response.json()["last_run_at"] == "2027-06-01T11:50:00Z"
    assert response.json()["next_run_at"][11:16] == slots[0]
    assert upcoming(api, at) == slots
    assert PeriodicTask.objects.get().enabled


def test_resume_after_the_only_slot_does_not_run_it(api, time_machine):
    pk = ClockedSchedule.objects.create(clocked_time=NOON + MINUTE).pk
    body = heartbeat(clocked=pk)
    del body["schedule"]
    at = f"{TASKS}{api.post(TASKS, body).json()['id']}/"
    api.post(f"{at}pause/")
    time_machine.move_to(NOON + 2 * MINUTE, tick=False)

    response = api.post(f"{at}resume/")

    assert response.json()["next_run_at"] is None
    assert upcoming(api, at) == []


def test_resume_of_a_task_that_is_not_paused_changes_nothing(api):
    at = made(api)
    before = api.get(at).json()

    assert api.post(f"{at}resume/").json() == before


def test_pause_with_an_end_resumes_from_that_end(api):
    at = made(api, schedule=HOURLY)
    api.post(f"{at}pause/", UNTIL_TWO)
    revision = api.get(at).json()["revision"]

    assert resume_due(at=NOON + timedelta(hours=1, minutes=59)) == []
    [task] = resume_due(at=NOON + timedelta(hours=2, minutes=5))

    assert task.name == "Heartbeat"
    assert pause_state(api.get(at)) == NOT_PAUSED
    assert api.get(at).json()["revision"] == revision
    assert api.get(at).json()["next_run_at"] == "2027-06-01T15:00:00Z"


def test_concurrent_schedulers_end_a_pause_once(api):
    at = made(api)
    api.post(f"{at}pause/", UNTIL_TWO)

    ended = [resume_due(at=NOON + timedelta(hours=3)) for _ in range(2)]

    assert [len(tasks) for tasks in ended] == [1, 0]


# --- Preconditions --------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_pause_and_resume_with_stale_if_match_are_refused(api, verb):
    at = made(api)
    tag = api.get(at).headers["ETag"]

    fine = api.post(f"{at}{verb}/", headers={"If-Match": tag})
    stale = api.post(f"{at}pause/", headers={"If-Match": '"another"'})

    assert fine.status_code == 200
    assert refusal(stale) == (412, "revision_mismatch")


def test_change_with_if_match_from_before_a_pause_is_refused_until_it_ends(api):
    at = made(api)
    running = api.get(at).headers["ETag"]

    paused = api.post(f"{at}pause/", UNTIL_TWO).headers["ETag"]
    stale = api.patch(at, {"description": "New"}, headers={"If-Match": running})
    resume_due(at=NOON + timedelta(hours=3))

    assert refusal(stale) == (412, "revision_mismatch")
    assert api.get(at).headers["ETag"] == paused


def test_pause_needs_no_if_match_even_if_a_setting_requires_it(api, settings):
    at = made(api)
    settings.REQUIRE_IF_MATCH = True

    assert api.post(f"{at}pause/").status_code == 200


def test_audit_records_the_pause_with_caller_and_note(api):
    at = made(api)
    api.post(f"{at}pause/", UNTIL_TWO)
    api.post(f"{at}resume/")

    paused, resumed = AuditEntry.objects.order_by("pk").values("operation", "before", "after")[1:]

    running = {"paused": False, "paused_until": None, "pause_note": ""}
    assert paused["operation"] == "pause"
    assert paused["before"] == resumed["after"] == running
    assert paused["after"] == resumed["before"]
    assert paused["after"] == {
        "paused": True,
        "paused_until": UNTIL_TWO["until"],
        "pause_note": UNTIL_TWO["note"],
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"paused": "true"}, ["paused", "paused, disabled"]),
        ({"paused": "false"}, ["disabled", "running", "unowned"]),
        ({"enabled": "true"}, ["paused", "running", "unowned"]),
        ({"enabled": "false"}, ["disabled", "paused, disabled"]),
        ({"enabled": "true", "paused": "false"}, ["running", "unowned"]),
    ],
)
def test_list_filters_by_paused_and_enabled(api, query, found):
    for name in ("running", "paused", "disabled", "paused, disabled"):
        at = made(api, name=name, enabled="disabled" not in name)
        if "paused" in name:
            api.post(f"{at}pause/")
    stored(name="unowned")

    assert names(api.get(TASKS, {"ordering": "name", **query})) == found


def test_delete_removes_the_pause(api):
    at = made(api)
    api.post(f"{at}pause/")

    assert api.delete(at).status_code == 204
    assert not ManagedTask.objects.exists()
