"""Keyset pagination: each row once, in any ordering and during concurrent changes."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.http.responses import mistakes, refusal
from tests.api.schedules.bodies import CRONTABS, INTERVALS, PERIODIC_TASKS
from tests.client import KEY_QUERIES
from tests.contract.document import OPERATIONS

pytestmark = pytest.mark.both_databases

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
FIELDS = ["id", "name", "task", "date_changed", "last_run_at", "total_run_count"]
ORDERINGS = [sign + field for field in FIELDS for sign in ("", "-")]


def walk(api, path: str, link: str = "next") -> list[dict]:
    """Return the pages from this URL on, following one link of each."""
    pages = []
    address = path
    for _ in range(1000):
        pages.append(api.get(address).json())
        address = pages[-1][link]
        if address is None:
            return pages
    raise AssertionError(f"{path} has no end")


def ids(pages: list[dict]) -> list[int]:
    return [row["id"] for page in pages for row in page["results"]]


def in_order(ordering: str) -> list[int]:
    """Return the ids of all periodic tasks sorted by Python: ties by id, NULLs last."""
    field, is_descending = ordering.removeprefix("-"), ordering.startswith("-")
    rows = list(PeriodicTask.objects.values("id", *FIELDS[1:]))
    there = [row for row in rows if row[field] is not None]
    missing = [row for row in rows if row[field] is None]
    there.sort(key=lambda row: (row[field], row["id"]), reverse=is_descending)
    missing.sort(key=lambda row: row["id"], reverse=is_descending)
    return [row["id"] for row in there + missing]


def add_tasks(rows: Iterable[dict]) -> None:
    """Store periodic tasks with these columns, without validation."""
    rows = list(rows)
    every_day, _ = IntervalSchedule.objects.get_or_create(every=1, period="days")
    taken = PeriodicTask.objects.count()
    tasks = PeriodicTask.objects.bulk_create(
        PeriodicTask(
            **{"name": f"task {number:03}", "task": "project.tasks.heartbeat", **columns},
            interval=every_day,
        )
        for number, columns in enumerate(rows, start=taken)
    )
    for task, columns in zip(tasks, rows, strict=True):  # date_changed is set at each save
        changed = columns.get("date_changed", NOON)
        PeriodicTask.objects.filter(pk=task.pk).update(date_changed=changed)


@pytest.fixture
def tasks(db) -> None:
    """Store periodic tasks with ties in each column and NULLs in last_run_at."""
    add_tasks(
        {
            "name": f"task {(number * 7) % 11:03}",
            "task": f"project.tasks.{'abc'[number % 3]}",
            "last_run_at": None if number % 4 == 0 else NOON + timedelta(microseconds=number % 3),
            "date_changed": NOON - timedelta(seconds=number % 2),
            "total_run_count": number % 5,
        }
        for number in range(11)
    )


# --- Links ----------------------------------------------------------------------------------


@pytest.mark.parametrize("page_size", [1, 2, 3, 5, 10, 11, 12, 500])
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_links_walk_all_rows_once_forward_and_back(api, tasks, ordering, page_size):
    first = f"{PERIODIC_TASKS}?ordering={ordering}&page_size={page_size}"
    expected = in_order(ordering)

    forward = walk(api, first)
    last = forward[-2]["next"] if len(forward) > 1 else first
    backward = walk(api, last, "previous")[::-1]

    assert ids(forward) == expected
    assert [len(page["results"]) for page in forward[:-1]] == [page_size] * (len(forward) - 1)
    assert forward[0]["previous"] is None
    assert ids(backward) == expected
    assert [page["results"] for page in backward] == [page["results"] for page in forward]


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_previous_then_next_returns_the_same_page(api, tasks, ordering):
    pages = walk(api, f"{PERIODIC_TASKS}?ordering={ordering}&page_size=4")

    for page, following in pairwise(pages):
        assert api.get(following["previous"]).json()["results"] == page["results"]
        back = api.get(following["previous"]).json()
        assert api.get(back["next"]).json()["results"] == following["results"]


@pytest.mark.parametrize("path", [INTERVALS, CRONTABS, PERIODIC_TASKS])
def test_empty_list_is_one_empty_page(api, path):
    for ordering in ("id", "-id"):
        answer = api.get(f"{path}?ordering={ordering}&page_size=1").json()

        assert answer == {"next": None, "previous": None, "results": []}


def test_default_page_has_fifty_rows_by_id(api):
    IntervalSchedule.objects.bulk_create(
        IntervalSchedule(every=every, period="days") for every in range(1, 102)
    )

    pages = walk(api, INTERVALS)

    assert [len(page["results"]) for page in pages] == [50, 50, 1]
    assert ids(pages) == sorted(ids(pages))


def test_link_keeps_other_parameters(api, tasks):
    pages = walk(api, f"{PERIODIC_TASKS}?search=task+00&ordering=-name&page_size=3")

    assert "search=task+00" in pages[0]["next"]
    assert len(ids(pages)) == len(set(ids(pages))) == 10


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "task": st.sampled_from(["a", "b"]),
                "last_run_at": st.none()
                | st.integers(0, 3).map(lambda number: NOON + timedelta(microseconds=number)),
                "total_run_count": st.integers(0, 2),
            }
        ),
        max_size=12,
    ),
    ordering=st.sampled_from(ORDERINGS),
    page_size=st.integers(1, 6),
)
def test_any_rows_are_walked_once_forward_and_back(api, rows, ordering, page_size):
    PeriodicTask.objects.all().delete()
    add_tasks(rows)
    first = f"{PERIODIC_TASKS}?ordering={ordering}&page_size={page_size}"

    forward = walk(api, first)
    last = forward[-2]["next"] if len(forward) > 1 else first
    backward = walk(api, last, "previous")[::-1]

    assert ids(forward) == ids(backward) == in_order(ordering)


# --- Concurrent changes ---------------------------------------------------------------------


@pytest.mark.parametrize("link", ["next", "previous"])
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_stable_rows_are_seen_once_while_others_change(api, tasks, ordering, link):
    start = f"{PERIODIC_TASKS}?ordering={ordering}&page_size=2"
    address = start if link == "next" else walk(api, start)[-2]["next"]
    seen, gone, new = [], set(), set()
    numbers = count(100)

    while address:
        page = api.get(address).json()
        seen += ids([page])
        # Delete the rows at the start of the next page, and add rows before and after it.
        for pk in ids([page])[:: 2 if link == "next" else -2]:
            PeriodicTask.objects.filter(pk=pk).delete()
            gone.add(pk)
        if len(new) < 12:
            before = set(PeriodicTask.objects.values_list("pk", flat=True))
            add_tasks(
                {"name": f"task {place} {next(numbers)}", "last_run_at": last_run_at}
                for place, last_run_at in (("000", NOON), ("005", None), ("999", None))
            )
            new |= set(PeriodicTask.objects.values_list("pk", flat=True)) - before
        address = page[link]

    stayed = set(PeriodicTask.objects.values_list("pk", flat=True)) - new
    assert len(seen) == len(set(seen))
    assert set(seen) - new == stayed | gone - new


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_page_after_the_last_row_links_back_to_remaining_rows(api, tasks, ordering):
    first = api.get(f"{PERIODIC_TASKS}?ordering={ordering}&page_size=5").json()
    PeriodicTask.objects.exclude(pk__in=ids([first])).delete()

    emptied = api.get(first["next"]).json()

    assert (emptied["results"], emptied["next"]) == ([], None)
    assert ids([api.get(emptied["previous"]).json()]) == ids([first])


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_page_before_the_first_row_links_on_to_remaining_rows(api, tasks, ordering):
    first = api.get(f"{PERIODIC_TASKS}?ordering={ordering}&page_size=5").json()
    second = api.get(first["next"]).json()
    PeriodicTask.objects.filter(pk__in=ids([first])).delete()

    emptied = api.get(second["previous"]).json()

    assert (emptied["results"], emptied["previous"]) == ([], None)
    assert ids([api.get(emptied["next"]).json()]) == ids([second])


# --- Cursors --------------------------------------------------------------------------------


def cursor_of(page: dict) -> str:
    return page["next"].split("cursor=")[1].partition("&")[0]


def test_forged_cursor_is_refused(api, tasks):
    ours = cursor_of(api.get(f"{PERIODIC_TASKS}?page_size=2").json())
    forged = signing.Signer(key="x", salt="cursor").sign_object(["id", 1, 1, False])
    other_use = signing.Signer(salt="session").sign_object(["id", 1, 1, False])
    changed = ours.replace(ours[5], "A" if ours[5] != "A" else "B", 1)

    for cursor in ("x", "1", ":", "%00", "%FF", ours[:-1], ours + "x", changed, forged, other_use):
        response = api.get(f"{PERIODIC_TASKS}?page_size=2&cursor={cursor}")

        assert refusal(response) == (400, "invalid_query"), cursor
        assert mistakes(response) == [("cursor", "invalid")]


@pytest.mark.parametrize("ordering", ["-id", "name", "last_run_at"])
def test_cursor_of_another_ordering_is_refused(api, tasks, ordering):
    cursor = cursor_of(api.get(f"{PERIODIC_TASKS}?page_size=2").json())

    response = api.get(f"{PERIODIC_TASKS}?page_size=2&cursor={cursor}&ordering={ordering}")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [("cursor", "invalid")]


def orderings_in_document() -> dict[str, set[str]]:
    """Return the orderings of each list that has pages."""
    return {
        operation.path: set(parameter["schema"]["enum"])
        for operation in OPERATIONS
        for parameter in operation.parameters()
        if parameter["name"] == "ordering"
    }


ORDERINGS_OF_LISTS = orderings_in_document()


@pytest.mark.parametrize(
    ("path", "ordering"),
    [
        (path, ordering)
        for path in sorted(ORDERINGS_OF_LISTS.keys() - {PERIODIC_TASKS})
        for ordering in sorted(ORDERINGS_OF_LISTS[path] & ORDERINGS_OF_LISTS[PERIODIC_TASKS])
    ],
)
def test_cursor_of_another_list_is_refused(api, tasks, path, ordering):
    cursor = cursor_of(api.get(f"{PERIODIC_TASKS}?page_size=2&ordering={ordering}").json())
    address = path.replace("{id}", str(PeriodicTask.objects.latest("pk").pk))

    response = api.get(f"{address}?cursor={cursor}&ordering={ordering}")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [("cursor", "invalid")]


def test_page_size_can_change_between_pages(api, tasks):
    cursor = cursor_of(api.get(f"{PERIODIC_TASKS}?page_size=2").json())

    page = api.get(f"{PERIODIC_TASKS}?page_size=4&cursor={cursor}").json()

    assert ids([page]) == in_order("id")[2:6]


# --- Cost of a page -------------------------------------------------------------------------


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_query_count_is_independent_of_rows_and_page(api, ordering):
    queries = set()
    for rows in (1, 49):
        add_tasks([{}] * rows)
        for page_size in (20, 50):
            address = f"{PERIODIC_TASKS}?ordering={ordering}&page_size={page_size}"
            while address:
                with CaptureQueriesContext(connection) as captured:
                    page = api.get(address).json()
                queries.add(len(captured))
                address = page["next"]

    # The page, and the live workers of its queues.
    assert queries == {KEY_QUERIES + 2}
