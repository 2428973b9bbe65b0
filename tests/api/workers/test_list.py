"""GET /api/v1/workers/."""

from datetime import timedelta

import pytest

from tests.catalogue.workers import close_books, kill, send_report, set_last_seen, start_worker
from tests.client import KEY_QUERIES
from tests.conftest import caller

WORKERS = "/api/v1/workers/"
pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def listed(api, **query):
    return api.get(WORKERS, query).json()["results"]


def test_list_workers_is_sorted_by_name(api):
    start_worker(send_report, name="celery@two", queues=("slow",), version="1.3")
    start_worker(close_books, name="celery@one")

    one, two = listed(api)

    assert (one["name"], two["name"]) == ("celery@one", "celery@two")
    assert (two["queues"], two["version"], two["pid"]) == (["slow"], "1.3", 4711)
    assert (two["concurrency"], two["is_alive"], two["stopped_at"]) == (2, True, None)
    assert two["started_at"] == two["last_seen_at"]
    assert two["celery_version"].startswith("5.")


def test_worker_without_heartbeat_for_a_minute_is_not_alive(api):
    set_last_seen(start_worker(name="celery@quiet"), ago=timedelta(seconds=40))
    kill(start_worker(name="celery@killed"))

    assert {each["name"]: each["is_alive"] for each in listed(api)} == {
        "celery@quiet": True,
        "celery@killed": False,
    }


def test_stopped_worker_is_not_alive(api):
    one = start_worker()
    one.stopped_at = one.last_seen_at
    one.save()

    [worker] = listed(api)

    assert (worker["is_alive"], worker["stopped_at"]) == (False, worker["last_seen_at"])


def test_list_workers_is_paginated(api, django_assert_num_queries):
    for number in range(3):
        start_worker(name=f"celery@{number}")

    with django_assert_num_queries(KEY_QUERIES + 1):
        page = api.get(WORKERS, {"page_size": 2}).json()

    rest = api.get(page["next"].removeprefix("http://testserver")).json()
    names = [each["name"] for each in (*page["results"], *rest["results"])]
    assert names == ["celery@0", "celery@1", "celery@2"]
    assert [each["name"] for each in listed(api, ordering="-name")] == names[::-1]


def test_list_workers_requires_the_scope_tasks_read(db):
    assert caller("reader", scopes=["tasks:read"]).get(WORKERS).status_code == 200
    assert caller("other", scopes=["runs:read"]).get(WORKERS).status_code == 403


@pytest.mark.parametrize("query", [{"search": "one"}, {"ordering": "pid"}])
def test_list_workers_with_another_query_parameter_is_refused(api, query):
    assert api.get(WORKERS, query).status_code == 400


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_list_of_workers_is_read_only(api, method):
    assert getattr(api, method)(WORKERS, {}).status_code == 405
