"""GET /api/v1/upcoming/."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
)
from time_machine import travel

from scheduler_api.periodic_tasks import upcoming
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.jitter import due_at
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.periodic_tasks.slots import upcoming_slots
from scheduler_api.scheduler.planning import plan
from scheduler_api.scheduler.postgres_store import store_of_database
from tests.api.access.callers import account_of, service
from tests.api.http.responses import refusal
from tests.api.periodic_tasks.examples import mistakes, stored, update_agenda, update_row
from tests.client import KEY_QUERIES, ContractClient

pytestmark = pytest.mark.both_databases

UPCOMING = "/api/v1/upcoming/"
NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _at_noon(db):
    with travel(NOON, tick=False):
        yield


def every(seconds: int, **columns) -> PeriodicTask:
    interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period="seconds")
    name = columns.pop("name", f"Every {seconds}")
    return stored(name=name, interval=interval, **columns)


def at_times(**columns) -> PeriodicTask:
    fields = {"minute": "0", "hour": "13", "day_of_month": "1", "month_of_year": "6"}
    return stored(name="Yearly", crontab=CrontabSchedule.objects.create(**fields), **columns)


def with_settings(task: PeriodicTask, **columns) -> PeriodicTask:
    ManagedTask.objects.create(periodic_task=task, **columns)
    return task


def plan_all(now: datetime = NOON) -> None:
    """Plan all changed tasks, as beat does."""
    plan(store_of_database(clock=lambda: now), now, limit=10_000)


def slots_in(response) -> list[tuple[str, str]]:
    assert response.status_code == 200, response.json()
    return [(run["periodic_task_name"], run["due_at"]) for run in response.json()["results"]]


def walk(api, **query) -> list[list[dict]]:
    pages = [api.get(UPCOMING, query).json()]
    while pages[-1]["next"]:
        pages.append(api.get(pages[-1]["next"]).json())
    return [page["results"] for page in pages]


def expected_slots(*, until: datetime, after: datetime = NOON) -> list[tuple[str, int]]:
    """Return the slots of all tasks, computed one task at a time."""
    every_slot = []
    for task in PeriodicTask.objects.all():
        jitter = ManagedTask.objects.filter(pk=task.pk).values_list("jitter_seconds", flat=True)
        for slot in upcoming_slots(task, after=after - HOUR, count=10_000):
            due = due_at(task.pk, slot, jitter[0] if jitter else 0)
            if after < due <= until:
                every_slot.append((due, task.pk))
            if slot > until:
                break
    return [(due.isoformat().replace("+00:00", "Z"), pk) for due, pk in sorted(every_slot)]


def cursors(pages: list[list[dict]]) -> list[tuple[str, int]]:
    return [(run["due_at"], run["periodic_task"]) for page in pages for run in page]


def test_upcoming_of_all_without_tasks_is_empty(api):
    assert api.get(UPCOMING).json() == {
        "until": "2027-06-02T12:00:00Z",
        "is_complete": True,
        "next": None,
        "results": [],
    }


def test_upcoming_of_all_shows_the_task_of_each_slot(api):
    task = at_times()
    plan_all()

    [run] = api.get(UPCOMING).json()["results"]

    assert run == {
        "slot_at": "2027-06-01T13:00:00Z",
        "due_at": "2027-06-01T13:00:00Z",
        "periodic_task": task.pk,
        "periodic_task_name": "Yearly",
        "task": "project.tasks.heartbeat",
        "schedule": api.get(f"/api/v1/periodic-tasks/{task.pk}/").json()["schedule"],
    }


@pytest.fixture
def many(db):
    """Tasks from every second to once a year, with and without jitter, some with equal slots."""
    every(1)
    every(7)
    every(20, name="First of two")
    with_settings(every(20, name="Second of two"), jitter_seconds=20)
    with_settings(every(60), jitter_seconds=30)
    at_times()
    clocked = ClockedSchedule.objects.create(clocked_time=NOON + 90 * SECOND)
    stored(name="Once", clocked=clocked, one_off=True)


@pytest.mark.parametrize("is_planned", [True, False])
@pytest.mark.parametrize("page_size", [1, 7, 500])
def test_upcoming_of_all_lists_every_slot_once_in_order(api, many, page_size, is_planned):
    if is_planned:
        plan_all()
    until = NOON + (2 if page_size > 1 else 0.2) * MINUTE

    pages = walk(api, until=until.isoformat(), page_size=page_size)

    assert cursors(pages) == expected_slots(until=until)
    assert {len(page) for page in pages[:-1]} <= {page_size}


def test_upcoming_of_all_may_start_later(api, many):
    plan_all()
    after, until = NOON + 50 * MINUTE, NOON + HOUR

    pages = walk(api, after=after.isoformat(), until=until.isoformat(), page_size=500)

    assert cursors(pages) == expected_slots(after=after, until=until)
    assert pages[-1][-1]["due_at"] == "2027-06-01T13:00:00Z", "the range includes its end"


def test_upcoming_of_all_includes_unplanned_changes(api):
    task = every(600)
    plan_all()
    faster, _ = IntervalSchedule.objects.get_or_create(every=60, period="seconds")

    update_row(task, interval=faster)

    assert Agenda.objects.get().stale
    assert slots_in(api.get(UPCOMING, {"page_size": 2})) == [
        ("Every 600", "2027-06-01T12:01:00Z"),
        ("Every 600", "2027-06-01T12:02:00Z"),
    ]


@pytest.mark.parametrize(
    ("columns", "settings_columns"),
    [
        ({"enabled": False}, {}),
        ({"enabled": False}, {"paused_at": NOON}),
        ({"enabled": False}, {"paused_at": NOON, "paused_until": NOON + 48 * HOUR}),
        (
            {"enabled": False},
            {"paused_at": NOON, "paused_until": NOON + HOUR, "enabled_on_resume": False},
        ),
        ({"expires": NOON + 10 * SECOND}, {}),
        ({"one_off": True, "total_run_count": 1}, {}),
        ({"start_time": NOON + 48 * HOUR}, {}),
    ],
)
@pytest.mark.parametrize("is_planned", [True, False])
def test_upcoming_of_all_excludes_tasks_that_do_not_run(
    api, columns, settings_columns, is_planned
):
    with_settings(every(60, **columns), **settings_columns)
    if is_planned:
        plan_all()

    assert slots_in(api.get(UPCOMING)) == []


@pytest.mark.parametrize("is_planned", [True, False])
def test_upcoming_of_all_continues_after_a_pause(api, is_planned):
    paused = every(600, enabled=False)
    with_settings(paused, paused_at=NOON, paused_until=NOON + HOUR + MINUTE)
    if is_planned:
        plan_all()

    assert slots_in(api.get(UPCOMING, {"page_size": 1})) == [("Every 600", "2027-06-01T13:11:00Z")]


def test_upcoming_of_all_lists_a_task_changed_during_the_request_once(api, monkeypatch):
    """The task is planned at the first query, and changed before the second."""
    every(600)
    plan_all()
    twice = [PeriodicTask.objects.select_related("interval", "managed", "agenda").get()] * 2
    monkeypatch.setattr(upcoming, "candidates", lambda *_, **__: iter(twice))

    assert len(slots_in(api.get(UPCOMING, {"until": "2027-06-01T12:10:00Z"}))) == 1


def test_upcoming_of_all_excludes_overdue_slots(api):
    task = every(60)
    plan_all()
    update_agenda(task, slot_at=NOON - HOUR, due_at=NOON - HOUR)

    assert slots_in(api.get(UPCOMING, {"page_size": 1})) == [("Every 60", "2027-06-01T12:01:00Z")]


def test_upcoming_of_all_shows_the_next_attempt_of_a_failed_task(api):
    task = every(60)
    plan_all()
    update_agenda(task, slot_at=NOON, due_at=NOON + 5 * MINUTE, failures=3)

    assert slots_in(api.get(UPCOMING, {"page_size": 2})) == [
        ("Every 60", "2027-06-01T12:05:00Z"),
        ("Every 60", "2027-06-01T12:06:00Z"),
    ]


def test_upcoming_of_all_skips_an_invalid_row(api):
    invalid, _ = IntervalSchedule.objects.get_or_create(every=5, period="fortnights")
    stored(name="Invalid", interval=invalid)
    every(60)

    for _ in range(2):
        assert slots_in(api.get(UPCOMING, {"page_size": 1})) == [
            ("Every 60", "2027-06-01T12:01:00Z")
        ]
        plan_all()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"task": "project.tasks.add"}, ["Every 30"]),
        ({"task": "add"}, []),
        ({"label": "team=billing"}, ["Every 20"]),
        ({"label": "team"}, ["Every 20", "Every 30"]),
        ({"label": "team", "task": "project.tasks.add"}, ["Every 30"]),
    ],
)
def test_upcoming_of_all_filter_selects_matches(api, query, found):
    every(10)
    with_settings(every(20), labels={"team": "billing"})
    arguments = {"task": "project.tasks.add", "kwargs": json.dumps({"x": 1})}
    with_settings(every(30, **arguments), labels={"team": "sales"})
    plan_all()

    until = {"until": "2027-06-01T12:00:30Z"}
    assert [name for name, _ in slots_in(api.get(UPCOMING, query | until))] == found


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ({"until": "tomorrow"}, ("until", "invalid")),
        ({"until": "2027-06-01T12:00:00"}, ("until", "invalid")),
        ({"until": "2027-06-01T11:59:59Z"}, ("until", "empty_range")),
        ({"after": "2027-06-02T00:00:00Z", "until": "2027-06-01T13:00:00Z"},
         ("until", "empty_range")),
        ({"after": "1"}, ("after", "invalid")),
        ({"page_size": "501"}, ("page_size", "max_value")),
        ({"page_size": "0"}, ("page_size", "min_value")),
        ({"page_size": "many"}, ("page_size", "invalid")),
        ({"cursor": "made-up"}, ("cursor", "invalid")),
        ({"task": ""}, ("task", "blank")),
        ({"label": "\x00"}, ("label", "null_characters_not_allowed")),
        ({"enabled": "true"}, ("enabled", "unknown_parameter")),
        ({"ordering": "due_at"}, ("ordering", "unknown_parameter")),
    ],
)  # fmt: skip
def test_upcoming_of_all_with_an_invalid_query_is_refused(api, query, mistake):
    every(60)

    response = api.get(UPCOMING, query)

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [mistake]


@pytest.mark.parametrize(
    ("after", "until"),
    [
        ("0001-01-01T00:00:00Z", "2027-06-01T12:01:00Z"),
        ("9999-12-31T23:00:00Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_upcoming_of_all_at_the_limits_of_time(api, after, until):
    every(60)
    plan_all()

    assert api.get(UPCOMING, {"after": after, "until": until}).status_code == 200


def test_upcoming_of_all_shows_only_own_tasks():
    owner, other, seer = service("owner"), service("other"), service("seer", sees_unowned=True)
    for number, name in enumerate(("owner", "other", None), start=1):
        with_settings(every(10 * number), owner=account_of(name) if name else None)
    plan_all()

    seen = [
        {name for name, _ in slots_in(client.get(UPCOMING, {"until": "2027-06-01T12:00:30Z"}))}
        for client in (owner, other, seer)
    ]

    assert seen == [{"Every 10"}, {"Every 20"}, {"Every 30"}]


def test_upcoming_of_all_without_a_key_is_refused(db):
    assert refusal(ContractClient().get(UPCOMING)) == (401, "not_authenticated")


def test_upcoming_of_all_is_incomplete_with_too_many_unplanned_tasks(api, monkeypatch):
    monkeypatch.setattr(upcoming, "MAX_UNPLANNED", 2)
    for seconds in (60, 70, 80):
        every(seconds)

    left_out = api.get(UPCOMING, {"until": "2027-06-01T12:01:59Z"})
    plan_all()
    complete = api.get(UPCOMING, {"until": "2027-06-01T12:01:59Z"})

    assert (len(slots_in(left_out)), left_out.json()["is_complete"]) == (2, False)
    assert (len(slots_in(complete)), complete.json()["is_complete"]) == (3, True)


def test_upcoming_of_all_takes_five_queries(api, many, django_assert_num_queries):
    plan_all()

    with django_assert_num_queries(KEY_QUERIES + 5):
        slots_in(api.get(UPCOMING, {"page_size": 500}))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL")
def test_upcoming_of_all_reads_only_the_first_tasks(api):
    every(60)
    template = PeriodicTask.objects.get()
    PeriodicTask.objects.bulk_create(
        [
            PeriodicTask(name=f"Task {number}", task=template.task, interval=template.interval)
            for number in range(10_000)
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE scheduler_api_agenda SET stale = false, timing_digest = 'known', "
            "anchor_at = %(now)s, slots_after_at = %(now)s, resolved_through_at = %(now)s, "
            "slot_at = %(now)s + periodic_task_id * interval '1 ms', "
            "due_at = %(now)s + periodic_task_id * interval '1 ms'",
            {"now": NOON},
        )
        cursor.execute("ANALYZE scheduler_api_agenda, django_celery_beat_periodictask")

    with CaptureQueriesContext(connection) as captured:
        first = api.get(UPCOMING, {"page_size": 20}).json()

    assert len(first["results"]) == 20
    read = [query["sql"] for query in captured if "scheduler_api_agenda" in query["sql"]]
    steps = [steps_of(sql[sql.index("SELECT") :]) for sql in read]
    assert steps
    for plan_of_one in steps:
        assert "Seq Scan on scheduler_api_agenda" not in plan_of_one, plan_of_one
        assert "Seq Scan on django_celery_beat_periodictask" not in plan_of_one, plan_of_one
    assert "agenda_due" in steps[0]


def steps_of(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for (line,) in cursor.fetchall())
