"""Rows that stop or break stock beat: refused by the API, and shown if others wrote them."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import CharField
from django.db.models.functions import Cast
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from tests.api.periodic_tasks.examples import (
    NIGHTLY,
    TASKS,
    address,
    heartbeat,
    imports,
    mistakes,
    stored,
    update_row,
    without,
)


def interval(**columns: Any) -> dict[str, Any]:
    return {"schedule": {"type": "interval", "every": 1, "period": "days", **columns}}


def crontab(**columns: Any) -> dict[str, Any]:
    return {"schedule": {"type": "crontab", **columns}}


def solar(**columns: Any) -> dict[str, Any]:
    position = {"event": "sunset", "latitude": 52.5, "longitude": 13.4}
    return {"schedule": {"type": "solar", **position, **columns}}


# --- Refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        (interval(every=2147483647), "/schedule/every"),
        (interval(every=2147483648), "/schedule/every"),
        (interval(every=1, period="microseconds"), "/schedule/every"),
        (interval(every=0), "/schedule/every"),
        (interval(every=-5), "/schedule/every"),
        (interval(period="fortnights"), "/schedule/period"),
        ({"schedule": None}, "/schedule"),
        (crontab(timezone="Mars/Phobos"), "/schedule/timezone"),
        (crontab(minute=""), "/schedule/minute"),
        (crontab(minute="*/"), "/schedule/minute"),
        (crontab(minute="-1"), "/schedule/minute"),
        (crontab(minute="*/0"), "/schedule/minute"),
        (crontab(day_of_month="31", month_of_year="2"), "/schedule/day_of_month"),
        (solar(event="moonrise"), "/schedule/event"),
        (solar(latitude=90.5), "/schedule/latitude"),
        ({"headers": []}, "/headers"),
        ({"headers": "x"}, "/headers"),
        ({"headers": "{"}, "/headers"),
        ({"headers": {"task": "project.tasks.fail"}}, "/headers/task"),
        ({"headers": {"id": "1"}}, "/headers/id"),
        ({"headers": {"retries": "5"}}, "/headers/retries"),
        ({"args": {"a": 1}}, "/args"),
        ({"args": "abc"}, "/args"),
        ({"args": 5}, "/args"),
        ({"kwargs": [1]}, "/kwargs"),
        ({"kwargs": "{"}, "/kwargs"),
        ({"queue": "undeclared"}, "/queue"),
    ],
)
@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_definition_that_breaks_stock_beat_is_refused(api, method, fields, pointer):
    if method == "post":
        where, body = TASKS, heartbeat(**fields)
    else:
        where = address(stored())
        body = heartbeat(**fields) if method == "put" else fields
    if (method, fields) == ("patch", {"schedule": None}):
        body = {"interval": None}
    before = list(PeriodicTask.objects.values())

    response = getattr(api, method)(where, body)

    assert response.status_code == 400
    assert pointer in {found for found, _ in mistakes(response)}
    assert list(PeriodicTask.objects.values()) == before


# --- Shown ----------------------------------------------------------------------------------


def with_columns(**columns: Any) -> PeriodicTask:
    task = stored()
    update_row(task, **columns)
    return task


def with_interval(**columns: Any) -> PeriodicTask:
    return stored(interval=IntervalSchedule.objects.create(**columns))


def with_crontab(**columns: Any) -> PeriodicTask:
    return stored(crontab=CrontabSchedule.objects.create(**columns))


def with_solar(event: str, latitude: float) -> PeriodicTask:
    row = SolarSchedule.objects.create(event=event, latitude=latitude, longitude=13.4)
    return stored(solar=row)


def with_zone(zone: str) -> PeriodicTask:
    task = with_crontab(minute="30")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_crontabschedule SET timezone = %s", [zone])
    return task


def with_two_schedules() -> PeriodicTask:
    return with_columns(crontab=CrontabSchedule.objects.create(minute="0"))


def with_a_repeating_clocked_schedule() -> PeriodicTask:
    clocked = ClockedSchedule.objects.create(clocked_time="2100-01-01T00:00:00Z")
    task = stored(clocked=clocked, one_off=True)
    update_row(task, one_off=False)
    return task


NEVER_DUE = [
    (with_columns, {"interval": None}),
    (with_interval, {"every": 2147483647, "period": "days"}),
    (with_interval, {"every": 1, "period": "microseconds"}),
    (with_interval, {"every": 0, "period": "seconds"}),
    (with_interval, {"every": -5, "period": "seconds"}),
    (with_interval, {"every": 5, "period": "fortnights"}),
    (with_interval, {"every": 5, "period": ""}),
    (with_crontab, {"minute": ""}),
    (with_crontab, {"minute": "*/"}),
    (with_crontab, {"minute": "-1"}),
    (with_crontab, {"minute": "*/0"}),
    (with_crontab, {"day_of_month": "31", "month_of_year": "2"}),
    (with_zone, {"zone": "Mars/Phobos"}),
    (with_zone, {"zone": "../UTC"}),
    (with_zone, {"zone": ""}),
    (with_solar, {"event": "moonrise", "latitude": 52.5}),
    (with_solar, {"event": "sunset", "latitude": 99.5}),
]
DUE_BUT_WRONG = [
    (with_columns, {"headers": "[]"}),
    (with_columns, {"headers": '"x"'}),
    (with_columns, {"headers": "{"}),
    (with_columns, {"headers": '{"task": "project.tasks.fail", "retries": 5}'}),
    (with_columns, {"args": '{"a":1}'}),
    (with_columns, {"args": '"abc"'}),
    (with_columns, {"args": "5"}),
    (with_columns, {"args": "not JSON"}),
    (with_columns, {"kwargs": "[1]"}),
    (with_columns, {"kwargs": "not JSON"}),
    (with_columns, {"queue": "undeclared"}),
    (with_columns, {"queue": "", "exchange": "", "routing_key": ""}),
    (with_columns, {"task": ""}),
    (with_columns, {"task": "project.tasks.vanished"}),
    (with_columns, {"name": ""}),
    (with_columns, {"priority": 300}),
    (with_columns, {"expire_seconds": 0}),
    (with_columns, {"start_time": "0001-01-01T00:00:00Z"}),
    (with_two_schedules, {}),
    (with_a_repeating_clocked_schedule, {}),
]


@pytest.mark.parametrize(("store", "columns"), NEVER_DUE)
def test_never_due_row_is_shown(api, store, columns):
    healthy = stored(name="Healthy")
    task = store(**columns)

    one = api.get(address(task))
    listed = api.get(TASKS)
    upcoming = api.get(f"{address(task)}upcoming/")

    assert one.status_code == 200
    assert one.json()["next_run_at"] is None
    assert listed.status_code == 200
    assert [task["id"] for task in listed.json()["results"]] == [healthy.pk, task.pk]
    assert listed.json()["results"][1] == one.json()
    assert upcoming.status_code == 200
    assert upcoming.json()["upcoming"] == []


@pytest.mark.parametrize(("store", "columns"), DUE_BUT_WRONG)
def test_wrong_row_is_shown(api, store, columns):
    healthy = stored(name="Healthy")
    task = store(**columns)

    one = api.get(address(task))
    listed = api.get(TASKS)
    upcoming = api.get(f"{address(task)}upcoming/")

    assert one.status_code == 200
    assert one.json()["next_run_at"] is not None
    assert [task["id"] for task in listed.json()["results"]] == [healthy.pk, task.pk]
    assert listed.json()["results"][1] == one.json()
    assert upcoming.json()["upcoming"]


@pytest.mark.parametrize(("store", "columns"), NEVER_DUE)
def test_upcoming_of_an_invalid_schedule_shows_the_error(api, store, columns):
    task = store(**columns)

    schedule = api.get(address(task)).json()["schedule"]
    answer = api.get(f"{address(task)}upcoming/").json()

    assert answer["description"].startswith("Never: ")
    assert schedule is None or schedule["description"] == answer["description"]


@pytest.mark.parametrize(("store", "columns"), [*NEVER_DUE, *DUE_BUT_WRONG])
def test_invalid_row_can_be_disabled(api, store, columns):
    task = store(**columns)
    repair = {"schedule": NIGHTLY} if columns == {"interval": None} else {}
    repair |= {"one_off": True} if store is with_a_repeating_clocked_schedule else {}

    response = api.patch(address(task), {"enabled": False, **repair})

    assert response.status_code == 200
    assert PeriodicTask.objects.filter(pk=task.pk, enabled=False).exists()


@pytest.mark.parametrize(("store", "columns"), [*NEVER_DUE, *DUE_BUT_WRONG])
def test_invalid_row_can_be_replaced(api, store, columns):
    task = store(**columns)

    response = api.put(address(task), imports())

    assert response.status_code == 200
    assert response.json()["next_run_at"] is not None


@pytest.mark.parametrize(("store", "columns"), [*NEVER_DUE, *DUE_BUT_WRONG])
def test_invalid_row_can_be_deleted(api, store, columns):
    task = store(**columns)

    assert api.delete(address(task)).status_code == 204


def test_unknown_time_zone_is_named_in_the_error(api):
    task = with_zone("Mars/Phobos")

    schedule = api.get(address(task)).json()["schedule"]

    assert schedule["timezone"] == "Mars/Phobos"


def test_unknown_time_zone_is_kept_when_the_row_is_saved(db):
    crontab = with_zone("Mars/Phobos").crontab
    crontab.refresh_from_db()

    crontab.minute = "45"
    crontab.save()

    columns = CrontabSchedule.objects.annotate(zone=Cast("timezone", CharField()))
    assert columns.values_list("minute", "zone").get() == ("45", "Mars/Phobos")


def test_unknown_time_zone_cannot_be_stored(db):
    with pytest.raises(ValidationError):
        CrontabSchedule(timezone="Mars/Phobos")


def test_create_with_an_invalid_stored_schedule_is_refused(api):
    invalid = IntervalSchedule.objects.create(every=2147483647, period="days")
    body = without(heartbeat(interval=invalid.pk), "schedule")

    response = api.post(TASKS, body)

    assert response.status_code == 400
    assert mistakes(response) == [("/schedule", "interval_out_of_range")]


def test_create_with_a_crontab_of_an_unknown_time_zone_is_refused(api):
    invalid = with_zone("Mars/Phobos").crontab_id
    body = without(heartbeat(name="Another", crontab=invalid), "schedule")

    response = api.post(TASKS, body)

    assert response.status_code == 400
