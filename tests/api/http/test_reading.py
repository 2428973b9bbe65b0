"""Fast reading of rows by serializers: the same result as REST framework's."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from rest_framework.serializers import Serializer

from scheduler_api.http.fields import in_utc, read_json
from scheduler_api.http.serializers import read_plan
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.periodic_tasks.serializers import PeriodicTaskSerializer
from scheduler_api.schedules.serializers import INLINE_SERIALIZERS

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

NOON = datetime(2027, 6, 1, 12, 0, 0, 250_000, tzinfo=UTC)
SCHEDULES = {
    "interval": IntervalSchedule(pk=1, every=5, period="minutes"),
    "crontab": CrontabSchedule(pk=2, minute="30", timezone=ZoneInfo("Europe/Berlin")),
    "solar": SolarSchedule(
        pk=3, event="sunset", latitude=Decimal("52.520000"), longitude=Decimal("13.405000")
    ),
    "clocked": ClockedSchedule(pk=4, clocked_time=NOON),
}


@pytest.fixture(params=SCHEDULES)
def task(request):
    """A periodic task as the view fetches it."""
    task = PeriodicTask(
        pk=7,
        name="Añadir",
        task="project.tasks.add",
        args="[1, 2.5, null]",
        start_time=NOON,
        last_run_at=NOON,
        date_changed=NOON,
        priority=0,
        **{request.param: SCHEDULES[request.param]},
    )
    ManagedTask(periodic_task=task)
    Agenda(periodic_task=task, missed_count=3, last_error="Its zone is unknown.")
    task.owner_name = "crm"
    task.was_announced, task.has_worker = True, False
    task.last_run = None
    return task


def test_periodic_task_is_read_as_rest_framework_does(task):
    serializer = PeriodicTaskSerializer()

    assert serializer.to_representation(task) == Serializer.to_representation(serializer, task)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_schedule_is_read_as_rest_framework_does(kind):
    serializer = INLINE_SERIALIZERS[kind]()

    data = serializer.to_representation(SCHEDULES[kind])

    assert data == Serializer.to_representation(serializer, SCHEDULES[kind])


def test_list_builds_no_field(task, settings, monkeypatch):
    settings.FAST_PATHS = True
    read_plan(PeriodicTaskSerializer)
    monkeypatch.setattr(PeriodicTaskSerializer, "get_fields", None)

    assert PeriodicTaskSerializer([task, task], many=True).data[1]["name"] == "Añadir"


def test_schedule_text_follows_its_columns():
    schedule = IntervalSchedule(pk=1, every=5, period="minutes")
    serializer = INLINE_SERIALIZERS["interval"]()

    before = serializer.to_representation(schedule)["description"]
    schedule.every = 7
    after = serializer.to_representation(schedule)["description"]

    assert (before, after) == ("Every 5 minutes", "Every 7 minutes")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2027, 6, 1, tzinfo=UTC), "2027-06-01T00:00:00Z"),
        (NOON, "2027-06-01T12:00:00.250000Z"),
        (datetime(2027, 6, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")), "2027-06-01T00:00:00Z"),
        (datetime(2027, 6, 1, tzinfo=timezone(timedelta(0), "GMT")), "2027-06-01T00:00:00Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_time_is_written_in_utc(moment, text):
    assert in_utc(moment) == text


def nested(levels):
    return [nested(levels - 1)] if levels > 1 else []


@pytest.mark.parametrize(
    ("text", "json_type", "value"),
    [
        (None, list, []),
        ("", dict, {}),
        ("[]", list, []),
        ("{}", dict, {}),
        ("[]", dict, None),
        ("{}", list, None),
        ("[ ]", list, []),
        ("[NaN]", list, None),
        ("[-Infinity]", list, None),
        ("[1e999]", list, None),
        (f"[{'9' * 400}.0]", list, None),
        (f"[{'9' * 400}]", list, [int("9" * 400)]),
        ('["1e9", 1e9, 1E-9]', list, ["1e9", 1e9, 1e-9]),
        ("[" * 100 + "]" * 100, list, nested(100)),
        ("[" * 1000 + "]" * 1000, list, None),
        ("[1", list, None),
        (r'["\ud800"]', list, None),
    ],
)
def test_stored_json_text_is_read_as_one_type(text, json_type, value):
    assert read_json(text, json_type) == value
