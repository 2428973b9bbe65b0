"""GET /api/v1/periodic-tasks/."""

from datetime import UTC, datetime, timedelta

import pytest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    SolarSchedule,
)

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.filters import PeriodicTaskFilter
from tests.api.periodic_tasks.examples import (
    TASKS,
    mistakes,
    names,
    stored,
    update_agenda,
    update_row,
)
from tests.client import KEY_QUERIES

pytestmark = pytest.mark.both_databases

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def four(db):
    """Four periodic tasks with different values, one of each schedule type."""
    crontab = CrontabSchedule.objects.create(pk=7, minute="0")
    solar = SolarSchedule.objects.create(pk=7, event="sunset", latitude=52.5, longitude=13.4)
    clocked = ClockedSchedule.objects.create(pk=7, clocked_time="2100-01-01T00:00:00Z")
    interval = IntervalSchedule.objects.create(pk=7, every=30, period="seconds")
    tasks = [
        stored(name="ant", task="project.tasks.add", interval=interval, description="Big CAT"),
        stored(name="bee", task="project.tasks.fail", crontab=crontab, queue="slow"),
        stored(name="Cat", task="project.tasks.sleep", solar=solar, enabled=False),
        stored(name="dog", task="cats.play", clocked=clocked, one_off=True),
    ]
    # bee ran first, then ant, then dog; Cat never ran.
    update_row(tasks[0], date_changed=NOON + HOUR, last_run_at=NOON + 2 * HOUR, total_run_count=3)
    update_row(tasks[1], date_changed=NOON, last_run_at=NOON + HOUR, total_run_count=9)
    update_row(tasks[2], date_changed=NOON + 3 * HOUR)
    update_row(
        tasks[3], date_changed=NOON + 2 * HOUR, last_run_at=NOON + 3 * HOUR, total_run_count=1
    )
    # bee cannot be planned, and dog has no agenda row.
    update_agenda(tasks[1], last_error="Its zone is unknown.", failures=3)
    Agenda.objects.filter(pk=tasks[3].pk).delete()
    return tasks


def test_list_without_tasks_is_empty(api):
    assert api.get(TASKS).json() == {"next": None, "previous": None, "results": []}


def test_list_shows_each_task_as_retrieve_does(api, four):
    results = api.get(TASKS).json()["results"]

    assert results == [api.get(f"{TASKS}{task.pk}/").json() for task in four]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["ant", "bee", "Cat", "dog"]),
        ({"enabled": "true"}, ["ant", "bee", "dog"]),
        ({"enabled": "false"}, ["Cat"]),
        ({"one_off": "true"}, ["dog"]),
        ({"one_off": "false"}, ["ant", "bee", "Cat"]),
        ({"name": "bee"}, ["bee"]),
        ({"name": "be"}, []),
        ({"name": "Bee"}, []),
        ({"name": " bee"}, []),
        ({"name": " "}, []),
        ({"task": "project.tasks.add"}, ["ant"]),
        ({"task": "add"}, []),
        ({"queue": "slow"}, ["bee"]),
        ({"queue": "fast"}, []),
        ({"search": "cat"}, ["ant", "Cat", "dog"]),
        ({"search": "PLAY"}, ["dog"]),
        ({"search": "%"}, []),
        ({"search": "_"}, []),
        ({"search": "horse"}, []),
        ({"schedule_type": "interval"}, ["ant"]),
        ({"schedule_type": "crontab"}, ["bee"]),
        ({"schedule_type": "solar"}, ["Cat"]),
        ({"schedule_type": "clocked"}, ["dog"]),
        ({"interval": "7"}, ["ant"]),
        ({"interval": "8"}, []),
        ({"crontab": "7"}, ["bee"]),
        ({"crontab": "8"}, []),
        ({"solar": "7"}, ["Cat"]),
        ({"solar": "8"}, []),
        ({"clocked": "7"}, ["dog"]),
        ({"clocked": "8"}, []),
        ({"clocked": "99999999999999999999999"}, []),
        ({"last_run_at_after": "2027-06-01T14:00:00Z"}, ["ant", "dog"]),
        ({"last_run_at_after": "2027-06-01T14:00:00.000001Z"}, ["dog"]),
        ({"last_run_at_after": "2027-06-02T00:00:00Z"}, []),
        ({"last_run_at_before": "2027-06-01T14:00:00Z"}, ["bee"]),
        ({"last_run_at_before": "2027-06-01T16:00:00+02:00"}, ["bee"]),
        ({"last_run_at_before": "2027-06-01T13:00:00Z"}, []),
        ({"date_changed_after": "2027-06-01T14:00:00Z"}, ["Cat", "dog"]),
        ({"date_changed_after": "2027-06-02T00:00:00Z"}, []),
        ({"date_changed_before": "2027-06-01T14:00:00Z"}, ["ant", "bee"]),
        ({"date_changed_before": "2027-06-01T12:00:00Z"}, []),
        ({"enabled": "true", "search": "cat"}, ["ant", "dog"]),
        ({"enabled": "true", "search": "cat", "schedule_type": "clocked"}, ["dog"]),
        ({"interval": "7", "crontab": "7"}, []),
        ({"has_error": "true"}, ["bee"]),
        ({"has_error": "false"}, ["ant", "Cat", "dog"]),
        ({"has_error": "true", "enabled": "false"}, []),
        (
            {
                "date_changed_after": "2027-06-01T13:00:00Z",
                "date_changed_before": "2027-06-01T15:00:00Z",
            },
            ["ant", "dog"],
        ),
    ],
)
def test_list_filter_selects_matches(api, four, query, found):
    assert names(api.get(TASKS, query)) == found


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ({"enabled": "yes"}, ("enabled", "invalid")),
        ({"enabled": "True"}, ("enabled", "invalid")),
        ({"one_off": "1"}, ("one_off", "invalid")),
        ({"has_error": "no"}, ("has_error", "invalid")),
        ({"name": "\x00"}, ("name", "null_characters_not_allowed")),
        ({"task": "\x00"}, ("task", "null_characters_not_allowed")),
        ({"queue": "\x00"}, ("queue", "null_characters_not_allowed")),
        ({"search": "\x00"}, ("search", "null_characters_not_allowed")),
        ({"schedule_type": "lunar"}, ("schedule_type", "invalid_choice")),
        ({"interval": "x"}, ("interval", "invalid")),
        ({"crontab": "1.5"}, ("crontab", "invalid")),
        ({"solar": "one"}, ("solar", "invalid")),
        ({"clocked": "2100-01-01T00:00:00Z"}, ("clocked", "invalid")),
        ({"last_run_at_after": "yesterday"}, ("last_run_at_after", "invalid")),
        ({"last_run_at_before": "2027-06-01T12:00:00"}, ("last_run_at_before", "invalid")),
        ({"date_changed_after": "2027-06-01"}, ("date_changed_after", "invalid")),
        ({"date_changed_before": "1811851200"}, ("date_changed_before", "invalid")),
        ({"ordering": "description"}, ("ordering", "invalid")),
        ({"ordering": "name,task"}, ("ordering", "invalid")),
        ({"page_size": "0"}, ("page_size", "invalid")),
        ({"page_size": "501"}, ("page_size", "invalid")),
        ({"cursor": "made-up"}, ("cursor", "invalid")),
        ({"enable": "true"}, ("enable", "unknown_parameter")),
        ({"enabled": ["true", "false"]}, ("enabled", "duplicate_parameter")),
    ],
)
def test_list_with_an_invalid_filter_is_refused(api, four, query, mistake):
    response = api.get(TASKS, query)

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_query"
    assert mistakes(response) == [mistake]


@pytest.mark.parametrize("name", PeriodicTaskFilter.base_filters)
def test_list_filter_without_a_value_is_refused_or_selects_nothing(api, four, name):
    response = api.get(TASKS, {name: ""})

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_query"
    assert mistakes(response) == [(name, "blank")]


def test_list_with_a_misspelt_filter_gets_a_suggestion(api):
    response = api.get(TASKS, {"enable": "true"})

    assert "did you mean 'enabled'?" in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("id", ["ant", "bee", "Cat", "dog"]),
        ("task", ["dog", "ant", "bee", "Cat"]),
        ("date_changed", ["bee", "ant", "dog", "Cat"]),
        ("total_run_count", ["Cat", "dog", "ant", "bee"]),
    ],
)
def test_list_is_ordered_by_each_field(api, four, field, found):
    assert names(api.get(TASKS, {"ordering": field})) == found
    assert names(api.get(TASKS, {"ordering": f"-{field}"})) == found[::-1]


def test_list_is_ordered_by_name_as_the_database_sorts(api, four):
    rising = names(api.get(TASKS, {"ordering": "name"}))

    assert set(rising) == {"ant", "bee", "Cat", "dog"}
    assert [name for name in rising if name != "Cat"] == ["ant", "bee", "dog"]
    assert names(api.get(TASKS, {"ordering": "-name"})) == rising[::-1]


def test_list_ordered_by_last_run_has_never_run_tasks_last(api, four):
    assert names(api.get(TASKS, {"ordering": "last_run_at"})) == ["bee", "ant", "dog", "Cat"]
    assert names(api.get(TASKS, {"ordering": "-last_run_at"})) == ["dog", "ant", "bee", "Cat"]


@pytest.mark.parametrize(
    "ordering", ["id", "-id", "name", "-name", "last_run_at", "-last_run_at", "-total_run_count"]
)
def test_list_pages_cover_the_whole_list(api, four, ordering):
    query = {"ordering": ordering, "search": "a", "enabled": "true"}
    whole = names(api.get(TASKS, query))

    page = api.get(TASKS, {**query, "page_size": 1})
    found = names(page)
    while page.json()["next"]:
        page = api.get(page.json()["next"])
        found += names(page)

    assert found == whole == names(api.get(TASKS, query))
    assert len(found) == 3
    back = api.get(page.json()["previous"])
    assert names(back) == whole[1:2]


def test_list_takes_a_constant_number_of_queries(api, four, django_assert_num_queries):
    schedules = [
        {"interval": four[0].interval},
        {"crontab": four[1].crontab},
        {"solar": four[2].solar},
        {"clocked": four[3].clocked, "one_off": True},
    ]
    for number in range(50):
        stored(name=f"Task {number}", **schedules[number % 4])

    for page_size in (1, 50):
        with django_assert_num_queries(KEY_QUERIES + 2):  # the page, and the live workers
            assert len(names(api.get(TASKS, {"page_size": page_size}))) == page_size
