"""GET /api/v1/runs/stats/."""

from datetime import timedelta
from itertools import product
from math import ceil
from random import Random

import pytest
from time_machine import travel

from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs import stats
from scheduler_api.runs.filters import RunStatsFilter
from scheduler_api.runs.models import Run
from tests.api.access.callers import account_of, service
from tests.api.http.responses import refusal
from tests.api.periodic_tasks.examples import mistakes, stored
from tests.api.runs.examples import NOON, RUNS, entered, run_of
from tests.client import KEY_QUERIES, ContractClient

pytestmark = pytest.mark.both_databases

STATS = f"{RUNS}stats/"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
AROUND = {"created_at_after": "2027-06-01T00:00:00Z", "created_at_before": "2027-06-04T00:00:00Z"}
NONE_YET = dict.fromkeys(Run.State.values, 0)


def took(seconds: float, *, late: float = 0, **columns):
    """A run that was late, and then took so long."""
    started_at = columns.get("created_at", NOON) + late * SECOND
    times = {
        "due_at": columns.get("created_at", NOON),
        "started_at": started_at,
        "finished_at": started_at + seconds * SECOND,
    }
    return entered(**{"state": "succeeded", "attempts": 1, **times, **columns})


def groups(api, **query):
    response = api.get(STATS, {**AROUND, **query})
    assert response.status_code == 200, response.json()
    return response.json()["results"]


def the_group(api, **query):
    [group] = groups(api, **query)
    return group


def test_stats_without_runs_are_empty(api):
    answer = api.get(STATS, AROUND).json()

    assert answer == {**AROUND, "is_complete": True, "results": []}


def test_stats_of_all_runs_are_one_group(api):
    took(4, late=1)
    took(2, late=0.5)
    took(9.0625, late=2, state="failed")
    entered(state="queued")

    assert the_group(api) == {
        "bucket_at": None,
        "periodic_task": None,
        "periodic_task_name": None,
        "task": None,
        "count": 4,
        "states": {**NONE_YET, "succeeded": 2, "failed": 1, "queued": 1},
        "duration_seconds": {"p50": 4.0, "p95": 9.062},
        "lateness_seconds": {"p50": 1.0, "p95": 2.0},
    }


@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 40, 100])
def test_percentile_is_the_nearest_rank(api, count):
    """As on every database: the value at n * p, rounded up."""
    durations = [Random(seed).uniform(0.001, 90) for seed in range(count)]  # in no order
    for duration in durations:
        took(duration, late=2 * duration)

    group = the_group(api)

    ordered = sorted(durations)
    for percent in (50, 95):
        expected = ordered[ceil(count * percent / 100) - 1]
        assert group["duration_seconds"][f"p{percent}"] == pytest.approx(expected, abs=0.001)
        assert group["lateness_seconds"][f"p{percent}"] == pytest.approx(2 * expected, abs=0.001)


def test_percentiles_leave_out_runs_without_a_duration(api):
    for state in ("pending", "running", "missed", "skipped"):
        entered(state=state)
    took(3)

    assert the_group(api)["duration_seconds"] == {"p50": 3.0, "p95": 3.0}
    assert the_group(api, state="missed")["duration_seconds"] == {"p50": None, "p95": None}


def test_lateness_is_never_negative(api):
    took(-2, late=-1)

    group = the_group(api)

    assert group["duration_seconds"] == group["lateness_seconds"] == {"p50": 0.0, "p95": 0.0}


def test_lateness_leaves_out_repeated_starts(api):
    took(1, late=5)
    took(1, late=500, attempts=2)
    took(1, late=50_000, trigger="backfill")

    assert the_group(api)["lateness_seconds"] == {"p50": 5.0, "p95": 5.0}


def test_missed_slots_in_a_row_count_each(api):
    entered(state="missed", slot_count=59, last_slot_at=NOON + HOUR)
    took(1)

    group = the_group(api)

    assert group["count"] == 60
    assert group["states"] == {**NONE_YET, "missed": 59, "succeeded": 1}


# --- Groups -----------------------------------------------------------------------------------


@pytest.fixture
def three_days(db):
    """Of two tasks, and of two periodic tasks of one of these, runs of two hours of three days."""
    for days, hours, (number, task) in product(
        range(3), (1, 2), [(7, "heartbeat"), (8, "heartbeat"), (9, "add")]
    ):
        took(
            number,
            periodic_task_id=number,
            periodic_task_name=f"Number {number}",
            task=f"project.tasks.{task}",
            created_at=NOON + days * DAY + hours * HOUR + number * SECOND,
        )
    took(1, periodic_task_id=8, periodic_task_name="Number 8", created_at=NOON)


def values_of(group, *names):
    return tuple(group[name] for name in names)


def test_stats_are_grouped_by_task(api, three_days):
    found = groups(api, group_by="task")

    assert [
        values_of(group, "task", "count", "periodic_task", "bucket_at") for group in found
    ] == [
        ("project.tasks.heartbeat", 13, None, None),
        ("project.tasks.add", 6, None, None),
    ]
    assert [group["duration_seconds"]["p95"] for group in found] == [8.0, 9.0]


def test_stats_are_grouped_by_periodic_task(api, three_days):
    found = groups(api, group_by="periodic_task")

    assert [
        values_of(group, "periodic_task", "periodic_task_name", "count", "task") for group in found
    ] == [(8, "Number 8", 7, None), (7, "Number 7", 6, None), (9, "Number 9", 6, None)]
    assert [group["duration_seconds"]["p50"] for group in found] == [8.0, 7.0, 9.0]


def test_stats_are_grouped_by_day_latest_first(api, three_days):
    assert [values_of(group, "bucket_at", "count") for group in groups(api, bucket="day")] == [
        ("2027-06-03T00:00:00Z", 6),
        ("2027-06-02T00:00:00Z", 6),
        ("2027-06-01T00:00:00Z", 7),
    ]


def test_stats_are_grouped_by_hour_and_periodic_task(api, three_days):
    found = groups(
        api,
        bucket="hour",
        group_by="periodic_task",
        periodic_task="8",
        created_at_before="2027-06-02T14:00:00Z",
    )

    assert [values_of(group, "bucket_at", "periodic_task", "count") for group in found] == [
        ("2027-06-02T13:00:00Z", 8, 1),
        ("2027-06-01T14:00:00Z", 8, 1),
        ("2027-06-01T13:00:00Z", 8, 1),
        ("2027-06-01T12:00:00Z", 8, 1),
    ]


def test_stats_with_more_groups_are_marked_incomplete(api, three_days, monkeypatch):
    monkeypatch.setattr(stats, "MAX_GROUPS", 3)

    whole = api.get(STATS, {**AROUND, "bucket": "day"}).json()
    cut = api.get(STATS, {**AROUND, "bucket": "hour"}).json()

    assert (len(whole["results"]), whole["is_complete"]) == (3, True)
    assert (len(cut["results"]), cut["is_complete"]) == (3, False)


# --- Which runs -------------------------------------------------------------------------------


def test_stats_without_a_range_are_of_the_last_day(api):
    for hours in (1, 23, 25, 47):
        took(hours, created_at=NOON - hours * HOUR)

    with travel(NOON, tick=False):
        answer = api.get(STATS).json()
        since = api.get(STATS, {"created_at_after": "2027-05-31T10:00:00Z"}).json()
        until = api.get(STATS, {"created_at_before": "2027-05-31T12:00:00Z"}).json()

    assert answer["created_at_after"] == "2027-05-31T12:00:00Z"
    assert answer["created_at_before"] == "2027-06-01T12:00:00Z"
    assert [whole["results"][0]["count"] for whole in (answer, since, until)] == [2, 3, 2]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"state": "failed"}, 2),
        ({"state": "failed,queued"}, 3),
        ({"state": ["failed", "queued"]}, 3),
        ({"trigger": "manual"}, 1),
        ({"task": "project.tasks.add"}, 1),
        ({"worker": "celery@here"}, 1),
        ({"label": "team=billing"}, 1),
        ({"started_at_after": "2027-06-01T12:00:05Z"}, 1),
        ({"slot_at_before": "2027-06-01T12:00:00Z"}, 0),
        ({"periodic_task": "99999999999999999999999"}, 0),
    ],
)
def test_stats_have_the_filters_of_the_list(api, query, count):
    billing = stored()
    ManagedTask.objects.create(periodic_task=billing, labels={"team": "billing"})
    run_of(billing, state="failed")
    took(1, late=5, state="failed", trigger="manual", worker="celery@here")
    entered(state="queued", task="project.tasks.add")

    assert sum(group["count"] for group in groups(api, **query)) == count


@pytest.mark.parametrize("name", RunStatsFilter.base_filters)
def test_stats_filter_without_a_value_is_refused(api, name):
    assert mistakes(api.get(STATS, {name: ""})) == [(name, "blank")]


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ({"group_by": "worker"}, ("group_by", "invalid_choice")),
        ({"bucket": "minute"}, ("bucket", "invalid_choice")),
        ({"bucket": ""}, ("bucket", "invalid_choice")),
        ({"state": "done"}, ("state", "invalid_choice")),
        ({"created_at_after": "yesterday"}, ("created_at_after", "invalid")),
        ({"created_at_after": "2099-01-01T00:00:00Z"}, ("created_at_after", "empty_range")),
        (
            {
                "created_at_after": "2027-01-01T00:00:00Z",
                "created_at_before": "2027-02-01T00:00:01Z",
            },
            ("created_at_after", "range_too_long"),
        ),
        ({"page_size": "5"}, ("page_size", "unknown_parameter")),
        ({"ordering": "created_at"}, ("ordering", "unknown_parameter")),
        ({"dry_run": "true"}, ("dry_run", "unknown_parameter")),
    ],
)
def test_stats_with_an_invalid_query_are_refused(api, query, mistake):
    response = api.get(STATS, query)

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [mistake]


def test_stats_until_the_first_day_of_year_one_are_empty(api):
    assert api.get(STATS, {"created_at_before": "0001-01-01T00:00:01Z"}).status_code == 200


def test_stats_of_too_many_runs_are_refused(api, three_days, monkeypatch):
    monkeypatch.setattr("scheduler_api.runs.stats_views.MAX_RUNS", 18)

    refused = api.get(STATS, AROUND)

    assert mistakes(refused) == [("created_at_after", "invalid")]
    assert "18 runs" in refused.json()["detail"]
    assert mistakes(api.get(STATS, {**AROUND, "worker": "celery@here"})), "nothing less is read"
    assert the_group(api, periodic_task="8")["count"] == 7
    assert groups(api, state="failed") == []


def test_stats_take_two_queries(api, three_days, django_assert_num_queries):
    with django_assert_num_queries(KEY_QUERIES + 2):
        groups(api, bucket="hour", group_by="periodic_task")


# --- Whose ------------------------------------------------------------------------------------


def test_stats_count_the_runs_that_the_caller_may_see(api):
    owner, other, seer = service("owner"), service("other"), service("seer", sees_unowned=True)
    for name in ("owner", "owner", "other", None, None, None):
        took(1, owner_id=account_of(name).pk if name else None)

    counts = [the_group(client)["count"] for client in (owner, other, seer, api)]

    assert counts == [2, 1, 3, 6]


def test_stats_without_a_key_are_refused(db):
    assert refusal(ContractClient().get(STATS)) == (401, "not_authenticated")
