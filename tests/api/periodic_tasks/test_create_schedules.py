"""POST /api/v1/periodic-tasks/: schedules and times."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from tests.api.periodic_tasks.examples import (
    EVERY_30_SECONDS,
    EVERY_KIND,
    NEW_YEAR_2100,
    NIGHTLY,
    SUNSET,
    TASKS,
    heartbeat,
    imports,
    mistakes,
    without,
)

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
KINDS = ("interval", "crontab", "solar", "clocked")


# --- Schedules ------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", EVERY_KIND, ids=KINDS)
def test_create_with_an_inline_schedule(api, schedule):
    task = api.post(TASKS, heartbeat(schedule=schedule)).json()

    references = {kind: task[kind] for kind in KINDS}
    assert task["schedule"] == {**task["schedule"], **schedule}
    assert task["schedule"]["description"]
    assert references == {**dict.fromkeys(KINDS), schedule["type"]: task["schedule"]["id"]}
    assert task["one_off"] is (schedule["type"] == "clocked")


@pytest.mark.parametrize("schedule", EVERY_KIND, ids=KINDS)
def test_create_with_a_schedule_by_id(api, schedule):
    kind = schedule["type"]
    row = api.post(f"/api/v1/{kind}-schedules/", schedule).json()

    response = api.post(TASKS, without(heartbeat(**{kind: row["id"]}), "schedule"))

    assert response.status_code == 201
    assert response.json()[kind] == row["id"]
    assert response.json()["schedule"] == {**response.json()["schedule"], **schedule}


def test_create_with_a_crontab_expression(api):
    schedule = {"type": "crontab", "expression": "*/5 8-18 * * mon-fri"}

    task = api.post(TASKS, heartbeat(schedule=schedule)).json()

    assert task["schedule"] == {
        "id": task["crontab"],
        "type": "crontab",
        "minute": "*/5",
        "hour": "8-18",
        "day_of_month": "*",
        "month_of_year": "*",
        "day_of_week": "mon-fri",
        "timezone": "UTC",
        "description": task["schedule"]["description"],
    }


@pytest.mark.both_databases
@pytest.mark.parametrize("schedule", EVERY_KIND, ids=KINDS)
def test_create_stores_equal_schedules_once(api, schedule):
    one = api.post(TASKS, heartbeat(name="One", schedule=schedule)).json()
    other = api.post(TASKS, heartbeat(name="Other", schedule=schedule)).json()

    assert one["schedule"] == other["schedule"]


@pytest.mark.both_databases
@pytest.mark.parametrize("schedule", EVERY_KIND, ids=KINDS)
def test_concurrent_creates_with_equal_schedules_succeed(two_at_once, schedule):
    responses = two_at_once(
        lambda client, number: client.post(TASKS, heartbeat(name=f"{number}", schedule=schedule))
    )

    assert [response.status_code for response in responses] == [201, 201]


@pytest.mark.both_databases
def test_create_uses_a_solar_schedule_stored_by_a_concurrent_request(api, monkeypatch):
    theirs = SolarSchedule.objects.create(event="sunset", latitude=52.52, longitude=13.405)
    found = iter([SolarSchedule.objects.none(), SolarSchedule.objects.all()])
    monkeypatch.setattr(SolarSchedule.objects, "filter", lambda **values: next(found))

    response = api.post(TASKS, heartbeat(schedule=SUNSET))

    assert response.status_code == 201
    assert response.json()["solar"] == theirs.pk


@pytest.mark.parametrize(
    "schedules",
    [
        without(heartbeat(), "name", "task"),
        {"interval": 1},
        {"interval": 1, "schedule": EVERY_30_SECONDS},
        {"interval": 1, "schedule": None},
        {"interval": 1, "crontab": None, "solar": None, "clocked": None},
        {"schedule": EVERY_30_SECONDS, **dict.fromkeys(KINDS)},
    ],
)
def test_create_with_inline_schedule_and_matching_id_is_accepted(api, schedules):
    IntervalSchedule.objects.create(pk=1, every=30, period="seconds")

    response = api.post(TASKS, {**without(heartbeat(), "schedule"), **schedules})

    assert response.status_code == 201
    assert response.json()["interval"] == 1


@pytest.mark.parametrize(
    ("schedules", "mistake"),
    [
        ({}, ("/schedule", "required")),
        ({"schedule": None}, ("/schedule", "required")),
        (dict.fromkeys(KINDS), ("/schedule", "required")),
        ({"schedule": None, **dict.fromkeys(KINDS)}, ("/schedule", "required")),
        ({"interval": 1, "crontab": 1}, ("/crontab", "ambiguous")),
        ({"crontab": 1, "interval": 1, "schedule": NIGHTLY}, ("/crontab", "ambiguous")),
        ({"interval": 1, "schedule": NIGHTLY}, ("/interval", "ambiguous")),
        (
            {"interval": 1, "schedule": {**EVERY_30_SECONDS, "every": 31}},
            ("/interval", "ambiguous"),
        ),
        ({"interval": 2}, ("/interval", "does_not_exist")),
        ({"crontab": 10**30}, ("/crontab", "does_not_exist")),
        ({"crontab": 1e300}, ("/crontab", "does_not_exist")),
        ({"solar": -1}, ("/solar", "does_not_exist")),
        ({"clocked": 1}, ("/clocked", "does_not_exist")),
        ({"interval": "1"}, ("/interval", "invalid")),
        ({"interval": True}, ("/interval", "invalid")),
        ({"interval": 1.5}, ("/interval", "invalid")),
        ({"interval": {"id": 1}}, ("/interval", "invalid")),
        ({"schedule": "* * * * *"}, ("/schedule", "invalid")),
        ({"schedule": 1}, ("/schedule", "invalid")),
        ({"schedule": {"every": 5, "period": "minutes"}}, ("/schedule/type", "unknown_type")),
        ({"schedule": {"type": "lunar"}}, ("/schedule/type", "unknown_type")),
        ({"schedule": {"type": ["interval"]}}, ("/schedule/type", "unknown_type")),
        ({"schedule": {"type": "interval", "every": 5}}, ("/schedule/period", "required")),
        (
            {"schedule": {**EVERY_30_SECONDS, "every": 0}},
            ("/schedule/every", "min_value"),
        ),
        (
            {"schedule": {**EVERY_30_SECONDS, "evry": 5}},
            ("/schedule/evry", "unknown_field"),
        ),
        (
            {"schedule": {"type": "interval", "every": 2**31 - 1, "period": "days"}},
            ("/schedule/every", "interval_out_of_range"),
        ),
        (
            {"schedule": {"type": "interval", "every": 1, "period": "microseconds"}},
            ("/schedule/every", "interval_out_of_range"),
        ),
        (
            {"schedule": {**NIGHTLY, "timezone": "Europe/Berln"}},
            ("/schedule/timezone", "unknown_zone"),
        ),
        (
            {"schedule": {**NIGHTLY, "expression": "@daily"}},
            ("/schedule/expression", "ambiguous"),
        ),
        (
            {"schedule": {"type": "clocked", "clocked_time": "2001-01-01T00:00:00Z"}},
            ("/schedule/clocked_time", "never_due"),
        ),
        (
            {"schedule": {"type": "clocked", "clocked_time": "2100-01-01T00:00:00"}},
            ("/schedule/clocked_time", "invalid"),
        ),
    ],
)
def test_create_with_an_invalid_schedule_is_refused(api, schedules, mistake):
    IntervalSchedule.objects.create(pk=1, every=30, period="seconds")
    CrontabSchedule.objects.create(pk=1, minute="30", hour="2", timezone=ZoneInfo("Europe/Berlin"))

    response = api.post(TASKS, {**without(heartbeat(), "schedule"), **schedules})

    assert response.status_code == 400
    assert mistakes(response) == [mistake]
    assert not PeriodicTask.objects.exists()


@pytest.mark.both_databases
@pytest.mark.both_databases
def test_refused_create_stores_no_schedule(api):
    response = api.post(TASKS, imports(schedule=SUNSET, args=[]))

    assert response.status_code == 400
    assert not SolarSchedule.objects.exists()


# --- Times ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"schedule": NEW_YEAR_2100},
        {"schedule": NEW_YEAR_2100, "one_off": True},
        {"one_off": True},
        {"start_time": "2027-06-01T13:00:00Z"},
        {"start_time": "2001-01-01T00:00:00Z"},
        {"start_time": "0001-01-01T00:00:00Z"},
        {"expires": "2027-06-01T12:00:31Z"},
        {"expires": "9999-12-31T23:59:59.999999Z"},
        {"start_time": "2027-06-01T13:00:00Z", "expires": "2027-06-01T13:00:01Z"},
        {"expires": "2001-01-01T00:00:00Z", "enabled": False},
        {"expire_seconds": 1},
        {"expire_seconds": 2**31 - 1},
        {"expire_seconds": 5, "expires": None},
        {"priority": 0},
        {"priority": 255},
        {"start_time": None, "expires": None, "expire_seconds": None, "priority": None},
    ],
)
def test_create_with_valid_times_is_accepted(api, time_machine, fields):
    time_machine.move_to(NOON, tick=False)

    response = api.post(TASKS, heartbeat(**fields))

    assert response.status_code == 201
    assert response.json() == {**response.json(), **without(fields, "schedule")}


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"schedule": NEW_YEAR_2100, "one_off": False}, ("/one_off", "not_one_off")),
        ({"expires": "2027-06-01T11:59:59Z"}, ("/expires", "never_due")),
        ({"expires": "2027-06-01T12:00:30Z"}, ("/expires", "never_due")),
        (
            {"start_time": "2027-06-01T13:00:00Z", "expires": "2027-06-01T13:00:00Z"},
            ("/expires", "never_due"),
        ),
        (
            {"schedule": NEW_YEAR_2100, "expires": "2099-01-01T00:00:00Z"},
            ("/expires", "never_due"),
        ),
        (
            {"schedule": NEW_YEAR_2100, "start_time": "2100-01-02T00:00:00Z"},
            ("/schedule", "never_due"),
        ),
        (
            {"start_time": "9999-12-31T23:59:59.999999Z", "schedule": SUNSET},
            ("/schedule", "never_due"),
        ),
        (
            {"expires": "2100-01-01T00:00:00Z", "expire_seconds": 60},
            ("/expire_seconds", "ambiguous"),
        ),
        ({"expire_seconds": 0}, ("/expire_seconds", "min_value")),
        ({"expire_seconds": -1}, ("/expire_seconds", "min_value")),
        ({"expire_seconds": 2**31}, ("/expire_seconds", "max_value")),
        ({"expire_seconds": "60"}, ("/expire_seconds", "invalid")),
        ({"expire_seconds": 1.5}, ("/expire_seconds", "invalid")),
        ({"priority": -1}, ("/priority", "min_value")),
        ({"priority": 256}, ("/priority", "max_value")),
        ({"priority": "9"}, ("/priority", "invalid")),
        ({"priority": True}, ("/priority", "invalid")),
        ({"start_time": "2100-01-01T00:00:00"}, ("/start_time", "invalid")),
        ({"start_time": "2100-01-01"}, ("/start_time", "invalid")),
        ({"start_time": "tomorrow"}, ("/start_time", "invalid")),
        ({"start_time": 4102444800}, ("/start_time", "invalid")),
        ({"expires": "2100-01-01T00:00:00"}, ("/expires", "invalid")),
        ({"expires": "2100-02-30T00:00:00Z"}, ("/expires", "invalid")),
        ({"expires": "9999-12-31T23:59:59-12:00"}, ("/expires", "overflow")),
    ],
)
def test_create_with_invalid_times_is_refused(api, time_machine, fields, mistake):
    time_machine.move_to(NOON, tick=False)

    response = api.post(TASKS, heartbeat(**fields))

    assert response.status_code == 400
    assert mistakes(response) == [mistake]


def test_create_with_a_clocked_schedule_defaults_to_one_off(api):
    task = api.post(TASKS, heartbeat(schedule=NEW_YEAR_2100)).json()

    assert task["one_off"] is True
    assert task["next_run_at"] == "2100-01-01T00:00:00Z"


def test_create_with_a_past_clocked_schedule_by_id_is_refused(api):
    past = ClockedSchedule.objects.create(clocked_time="2001-01-01T00:00:00Z")
    body = without(heartbeat(clocked=past.pk), "schedule")

    response = api.post(TASKS, body)

    assert response.status_code == 400
    assert mistakes(response) == [("/schedule", "never_due")]
