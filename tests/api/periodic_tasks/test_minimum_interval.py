"""Minimum interval of an account between the slots of its periodic tasks."""

from typing import Any

import pytest
from django_celery_beat.models import CrontabSchedule

from scheduler_api.access.models import ServiceAccount
from tests.api.access.callers import service
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import (
    EVERY_30_SECONDS,
    NEW_YEAR_2100,
    SUNSET,
    TASKS,
    heartbeat,
    without,
)
from tests.api.schedules.bodies import CRONTABS, INTERVALS
from tests.client import ContractClient

HOURLY = {"type": "interval", "every": 1, "period": "hours"}
TOO_OFTEN = [("/schedule", "too_often")]


@pytest.fixture
def limited(db: None) -> ContractClient:
    """A caller whose periodic tasks may run once in five minutes."""
    return service("limited", min_interval_seconds=300)


def crontab(expression: str) -> dict[str, Any]:
    return {"type": "crontab", "expression": expression}


@pytest.mark.parametrize(
    ("schedule", "is_accepted"),
    [
        ({"type": "interval", "every": 299, "period": "seconds"}, False),
        ({"type": "interval", "every": 300, "period": "seconds"}, True),
        ({"type": "interval", "every": 5, "period": "minutes"}, True),
        (crontab("* * * * *"), False),
        (crontab("*/5 * * * *"), True),
        (crontab("*/7 * * * *"), False),
        (crontab("0,59 * * * *"), False),
        (crontab("0 0,23 * * *"), True),
        (SUNSET, True),
        (NEW_YEAR_2100, True),
    ],
)
def test_schedule_below_the_minimum_interval_is_refused(limited, schedule, is_accepted):
    response = limited.post(TASKS, heartbeat(schedule=schedule))

    if is_accepted:
        assert response.status_code == 201
    else:
        assert refusal(response) == (400, "validation_failed")
        assert mistakes(response) == TOO_OFTEN


def test_refusal_of_the_interval_shows_the_gap(limited):
    response = limited.post(TASKS, heartbeat(schedule=crontab("*/7 * * * *")))

    assert response.json()["errors"][0]["detail"] == (
        "Two of its slots are 240 s apart; the minimum for this account is 300 s."
    )


@pytest.mark.parametrize(
    ("schedule", "seconds", "is_accepted"),
    [
        (SUNSET, 86400, True),
        (SUNSET, 86401, False),
        (NEW_YEAR_2100, 2**31 - 1, True),
        (crontab("0 0 1 * *"), 28 * 86400, True),
        (crontab("0 0 1 * *"), 28 * 86400 + 1, False),
    ],
)
def test_minimum_interval_of_more_than_a_day_is_enforced(db, schedule, seconds, is_accepted):
    client = service("limited", min_interval_seconds=seconds)

    response = client.post(TASKS, heartbeat(schedule=schedule))

    assert response.status_code == (201 if is_accepted else 400)


def test_schedule_by_id_below_the_minimum_interval_is_refused(limited):
    often = limited.post(INTERVALS, {"every": 1, "period": "minutes"}).json()["id"]
    seldom = limited.post(INTERVALS, {"every": 1, "period": "hours"}).json()["id"]
    body = without(heartbeat(), "schedule")

    assert mistakes(limited.post(TASKS, {**body, "interval": often})) == TOO_OFTEN
    created = limited.post(TASKS, {**body, "interval": seldom})
    assert created.status_code == 201
    address = f"{TASKS}{created.json()['id']}/"
    assert mistakes(limited.patch(address, {"interval": often})) == TOO_OFTEN


def test_minimum_interval_is_reported_with_other_mistakes(limited):
    response = limited.post(TASKS, heartbeat(kwargs={"colour": "red"}))

    assert set(mistakes(response)) == {*TOO_OFTEN, ("/kwargs/colour", "unexpected_argument")}


def test_put_by_name_below_the_minimum_interval_is_refused(limited):
    response = limited.put(f"{TASKS}by-name/Heartbeat/", without(heartbeat(), "name"))

    assert mistakes(response) == TOO_OFTEN


@pytest.fixture
def too_frequent(limited: ContractClient) -> str:
    """The address of a task that is below the minimum interval of its owner."""
    ServiceAccount.objects.update(min_interval_seconds=None)
    created = limited.post(TASKS, heartbeat()).json()
    ServiceAccount.objects.update(min_interval_seconds=300)
    return f"{TASKS}{created['id']}/"


@pytest.mark.parametrize(
    "body",
    [
        {"schedule": {**EVERY_30_SECONDS, "every": 60}},
        {"headers": {"x-a": "1"}},
        {"queue": "celery"},
        {"task": "project.tasks.clean_up"},
    ],
)
def test_task_below_the_minimum_interval_cannot_change_what_it_runs(limited, too_frequent, body):
    assert mistakes(limited.patch(too_frequent, body)) == TOO_OFTEN


@pytest.mark.parametrize(
    "body",
    [
        {"description": "Old"},
        {"labels": {"team": "ops"}},
        {"enabled": False},
        {"schedule": HOURLY},
        {"schedule": EVERY_30_SECONDS},
        {},
    ],
)
def test_task_below_the_minimum_interval_may_be_described_stopped_or_slowed(
    limited, too_frequent, body
):
    assert limited.patch(too_frequent, body).status_code == 200


def test_minimum_interval_is_checked_when_a_task_is_enabled(limited):
    created = limited.post(TASKS, heartbeat(enabled=False))

    assert created.status_code == 201
    address = f"{TASKS}{created.json()['id']}/"
    assert mistakes(limited.patch(address, {"enabled": True})) == TOO_OFTEN
    assert limited.patch(address, {"enabled": True, "schedule": HOURLY}).status_code == 200


def test_minimum_interval_applies_to_one_off_tasks(limited):
    assert mistakes(limited.post(TASKS, heartbeat(one_off=True))) == TOO_OFTEN


def test_minimum_interval_is_that_of_the_caller(api, limited):
    created = limited.post(TASKS, heartbeat(schedule=HOURLY)).json()

    answer = api.patch(f"{TASKS}{created['id']}/", {"schedule": EVERY_30_SECONDS})

    assert answer.status_code == 200
    assert answer.json()["owner"] == "limited"


# --- Changes of a used schedule ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedules", "body", "change"),
    [
        (INTERVALS, {"every": 1, "period": "hours"}, {"every": 1, "period": "minutes"}),
        (CRONTABS, {"expression": "*/30 * * * *"}, {"minute": "0,59"}),
    ],
)
@pytest.mark.parametrize("method", ["put", "patch"])
def test_change_of_a_used_schedule_below_the_minimum_interval_is_refused(
    limited, schedules, body, change, method
):
    schedule = limited.post(schedules, body).json()
    task = without(heartbeat(), "schedule") | {schedule["type"]: schedule["id"]}
    limited.post(TASKS, task)
    address = f"{schedules}{schedule['id']}/"

    refused = getattr(limited, method)(address, change)

    assert refusal(refused) == (400, "validation_failed")
    assert mistakes(refused) == [("", "too_often")]
    assert limited.get(address).json()["description"] == schedule["description"]


def test_unused_schedule_may_be_below_the_minimum_interval(limited):
    schedule = limited.post(INTERVALS, {"every": 1, "period": "hours"}).json()
    address = f"{INTERVALS}{schedule['id']}/"

    assert limited.patch(address, {"period": "seconds"}).status_code == 200
    task = limited.post(TASKS, heartbeat(schedule=HOURLY, enabled=False)).json()
    address = f"{INTERVALS}{task['interval']}/"
    assert limited.patch(address, {"period": "seconds"}).status_code == 200
    assert mistakes(limited.patch(f"{TASKS}{task['id']}/", {"enabled": True})) == TOO_OFTEN


def test_schedule_of_another_account_is_refused_before_the_minimum_interval(api, limited):
    task = api.post(TASKS, heartbeat()).json()

    refused = limited.patch(f"{INTERVALS}{task['interval']}/", {"every": 1})

    assert refusal(refused) == (409, "schedule_of_others")


def test_invalid_stored_schedule_is_refused_as_invalid(limited):
    CrontabSchedule.objects.create(minute="x")
    crontab = CrontabSchedule.objects.get()

    response = limited.post(TASKS, without(heartbeat(), "schedule") | {"crontab": crontab.pk})

    assert [code for _, code in mistakes(response)] == ["malformed"]
