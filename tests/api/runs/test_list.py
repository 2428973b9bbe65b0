"""GET /api/v1/runs/ and GET /api/v1/periodic-tasks/{id}/runs/."""

import uuid
from datetime import timedelta
from itertools import pairwise

import pytest

from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.filters import RunFilter, RunsOfPeriodicTaskFilter
from scheduler_api.runs.models import Run
from tests.api.access.callers import account_of, service
from tests.api.periodic_tasks.examples import TASKS, mistakes, stored
from tests.api.runs.examples import NOON, RUNS, address, entered, of, reasons, run_of
from tests.client import KEY_QUERIES

pytestmark = pytest.mark.both_databases

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
OF_ONE = {"args", "kwargs", "result", "is_result_truncated", "error"}


@pytest.fixture
def task(db):
    """Store a periodic task with runs on both lists."""
    return stored(pk=7)


@pytest.fixture
def four(task):
    """Four runs, entered one after the other; the last is of another periodic task."""
    return [
        run_of(task, reason="ant", state="queued", created_at=NOON),
        run_of(task, reason="bee", state="missed", slot_at=NOON + HOUR, created_at=NOON + MINUTE),
        run_of(
            task,
            reason="cat",
            state="failed",
            trigger="retry",
            worker="celery@here",
            periodic_task_name="Pulse",
            started_at=NOON + 3 * MINUTE,
            finished_at=NOON + 4 * MINUTE,
            created_at=NOON + 2 * MINUTE,
        ),
        entered(
            reason="dog",
            state="lost",
            trigger="manual",
            slot_at=None,
            due_at=NOON,
            periodic_task_id=8,
            periodic_task_name="Add",
            task="project.tasks.add",
            created_at=NOON + 3 * MINUTE,
            started_at=NOON + 2 * HOUR,
            finished_at=NOON + 2 * HOUR + MINUTE,
        ),
    ]


def test_list_without_runs_is_empty(api, task):
    nothing = {"next": None, "previous": None, "results": []}

    assert api.get(RUNS).json() == api.get(of(task)).json() == nothing


def test_list_shows_each_run_as_by_itself_newest_first(api, four):
    results = api.get(RUNS).json()["results"]

    assert results == [in_a_list(api, run) for run in reversed(four)]


def in_a_list(api, run):
    """Return a run as by itself, without its long fields."""
    whole = api.get(address(run)).json()
    return {name: whole[name] for name in whole.keys() - OF_ONE}


def test_list_of_a_periodic_task_has_its_runs(api, task, four):
    results = api.get(of(task)).json()["results"]

    assert results == [in_a_list(api, run) for run in reversed(four[:3])]
    assert reasons(api.get(RUNS, {"periodic_task": task.pk})) == ["cat", "bee", "ant"]


@pytest.mark.parametrize("number", ["1", "0", "99999999999999999999", "x", "-1"])
def test_list_of_an_unknown_periodic_task_is_not_found(api, four, number):
    response = api.get(f"{TASKS}{number}/runs/")

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_runs_of_a_deleted_periodic_task_stay_on_the_full_list(api, task, four):
    task.delete()

    assert api.get(of(task)).status_code == 404
    assert reasons(api.get(RUNS, {"periodic_task": "7"})) == ["cat", "bee", "ant"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["dog", "cat", "bee", "ant"]),
        ({"periodic_task": "7"}, ["cat", "bee", "ant"]),
        ({"periodic_task": "8"}, ["dog"]),
        ({"periodic_task": "9"}, []),
        ({"periodic_task": "99999999999999999999999"}, []),
        ({"periodic_task_name": "Heartbeat"}, ["bee", "ant"]),
        ({"periodic_task_name": "Pulse"}, ["cat"]),
        ({"periodic_task_name": "heartbeat"}, []),
        ({"task": "project.tasks.add"}, ["dog"]),
        ({"task": "add"}, []),
        ({"state": "queued"}, ["ant"]),
        ({"state": "failed,lost"}, ["dog", "cat"]),
        ({"state": "lost,failed,lost"}, ["dog", "cat"]),
        ({"state": ["lost", "failed"]}, ["dog", "cat"]),
        ({"state": "succeeded"}, []),
        ({"trigger": "schedule"}, ["bee", "ant"]),
        ({"trigger": "backfill"}, []),
        ({"worker": "celery@here"}, ["cat"]),
        ({"worker": "celery"}, []),
        ({"started_at_after": "2027-06-01T12:03:00Z"}, ["dog", "cat"]),
        ({"started_at_after": "2027-06-01T14:00:00Z"}, ["dog"]),
        ({"started_at_before": "2027-06-01T14:00:00Z"}, ["cat"]),
        ({"started_at_before": "2027-06-01T12:03:00Z"}, []),
        ({"started_at_before": "9999-12-31T23:59:59Z"}, ["dog", "cat"]),
        ({"finished_at_after": "2027-06-01T14:01:00Z"}, ["dog"]),
        ({"finished_at_before": "2027-06-01T14:01:00Z"}, ["cat"]),
        ({"finished_at_before": "2027-06-01T14:01:01Z", "state": "lost"}, ["dog"]),
        ({"slot_at_after": "2027-06-01T13:00:00Z"}, ["bee"]),
        ({"slot_at_before": "2027-06-01T13:00:00Z"}, ["cat", "ant"]),
        ({"created_at_after": "2027-06-01T14:01:00+02:00"}, ["dog", "cat", "bee"]),
        ({"created_at_before": "2027-06-01T12:01:00Z"}, ["ant"]),
        (
            {
                "created_at_after": "2027-06-01T12:01:00Z",
                "created_at_before": "2027-06-01T12:03:00Z",
            },
            ["cat", "bee"],
        ),
        ({"periodic_task": "7", "state": "missed,lost"}, ["bee"]),
        ({"ordering": "-created_at"}, ["dog", "cat", "bee", "ant"]),
        ({"ordering": "created_at"}, ["ant", "bee", "cat", "dog"]),
    ],
)
def test_filter_selects_runs(api, task, four, query, found):
    assert reasons(api.get(RUNS, query)) == found

    if "periodic_task" not in query:
        assert reasons(api.get(of(task), query)) == [name for name in found if name != "dog"]


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ({"periodic_task_name": "\x00"}, ("periodic_task_name", "null_characters_not_allowed")),
        ({"task": "\x00"}, ("task", "null_characters_not_allowed")),
        ({"state": "done"}, ("state", "invalid_choice")),
        ({"state": "failed,done"}, ("state", "invalid_choice")),
        ({"state": "FAILED"}, ("state", "invalid_choice")),
        ({"state": "failed,"}, ("state", "invalid")),
        ({"state": ",,"}, ("state", "invalid")),
        ({"state": ["failed", "done"]}, ("state", "invalid_choice")),
        ({"state": ["failed", ""]}, ("state", "blank")),
        ({"state": ["", "failed"]}, ("state", "invalid")),
        ({"trigger": ["manual", "retry"]}, ("trigger", "duplicate_parameter")),
        ({"trigger": "beat"}, ("trigger", "invalid_choice")),
        ({"trigger": "manual,retry"}, ("trigger", "invalid_choice")),
        ({"slot_at_after": "yesterday"}, ("slot_at_after", "invalid")),
        ({"slot_at_before": "2027-06-01T12:00:00"}, ("slot_at_before", "invalid")),
        ({"label": "\x00"}, ("label", "null_characters_not_allowed")),
        ({"started_at_after": "noon"}, ("started_at_after", "invalid")),
        ({"started_at_before": "2027-06-01T12:00:00"}, ("started_at_before", "invalid")),
        ({"finished_at_after": "1"}, ("finished_at_after", "invalid")),
        ({"finished_at_before": "2027-06-01"}, ("finished_at_before", "invalid")),
        ({"created_at_after": "2027-06-01"}, ("created_at_after", "invalid")),
        ({"created_at_before": "1811851200"}, ("created_at_before", "invalid")),
        ({"ordering": "slot_at"}, ("ordering", "invalid")),
        ({"ordering": "id"}, ("ordering", "invalid")),
        ({"page_size": "501"}, ("page_size", "invalid")),
        ({"cursor": "made-up"}, ("cursor", "invalid")),
        ({"states": "failed"}, ("states", "unknown_parameter")),
        ({"search": "heart"}, ("search", "unknown_parameter")),
    ],
)
def test_invalid_filter_is_refused(api, task, four, query, mistake):
    for path in (RUNS, of(task)):
        response = api.get(path, query)

        assert response.status_code == 400
        assert response.json()["code"] == "invalid_query"
        assert mistakes(response) == [mistake]


def test_list_of_a_periodic_task_has_no_filter_by_periodic_task(api, task, four):
    assert mistakes(api.get(RUNS, {"periodic_task": "seven"})) == [("periodic_task", "invalid")]
    assert mistakes(api.get(of(task), {"periodic_task": "7"})) == [
        ("periodic_task", "unknown_parameter")
    ]


@pytest.mark.parametrize("name", RunFilter.base_filters)
def test_filter_without_a_value_is_refused(api, task, four, name):
    paths = [RUNS, of(task)] if name in RunsOfPeriodicTaskFilter.base_filters else [RUNS]
    for path in paths:
        response = api.get(path, {name: ""})

        assert response.status_code == 400
        assert mistakes(response) == [(name, "blank")]


def test_dry_run_of_a_list_is_refused(api, task):
    assert mistakes(api.get(of(task), {"dry_run": "true"})) == [("dry_run", "unknown_parameter")]


# --- Labels -----------------------------------------------------------------------------------


@pytest.fixture
def labelled(db):
    """Two periodic tasks with labels, each with a run, and a run of one that has none."""
    billing = stored(name="Billing")
    ManagedTask.objects.create(periodic_task=billing, labels={"team": "billing", "tier": "1"})
    sales = stored(name="Sales")
    ManagedTask.objects.create(periodic_task=sales, labels={"team": "sales"})
    run_of(billing, reason="billing", created_at=NOON)
    run_of(sales, reason="sales", created_at=NOON + MINUTE)
    run_of(stored(name="Bare"), reason="bare", created_at=NOON + 2 * MINUTE)
    return billing


@pytest.fixture(params=[1000, 1, 0])
def most_ids(request, monkeypatch):
    """Few periodic tasks have a label, or many."""
    monkeypatch.setattr("scheduler_api.runs.filters.MAX_IDS", request.param)


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("team=billing", ["billing"]),
        ("team", ["sales", "billing"]),
        ("team=billing,tier=1", ["billing"]),
        ("team=sales,tier", []),
        ("tier=1", ["billing"]),
        ("nothing", []),
    ],
)
def test_label_selects_the_runs_of_labelled_periodic_tasks(api, labelled, most_ids, label, found):
    assert reasons(api.get(RUNS, {"label": label})) == found
    of_one = [name for name in found if name == "billing"]
    assert reasons(api.get(of(labelled), {"label": label})) == of_one


def test_label_filter_uses_current_labels(api, labelled):
    ManagedTask.objects.filter(pk=labelled.pk).update(labels={"team": "sales"})
    assert reasons(api.get(RUNS, {"label": "team=sales"})) == ["sales", "billing"]

    labelled.delete()
    assert reasons(api.get(RUNS, {"label": "team=sales"})) == ["sales"]


def test_label_of_another_owner_selects_nothing(labelled):
    """Of a periodic task that has gone to another account, the run is still its former owner's."""
    service("other")
    owner = service("owner")
    ManagedTask.objects.filter(pk=labelled.pk).update(owner=account_of("other"))
    Run.objects.update(owner_id=account_of("owner").pk)

    assert reasons(owner.get(RUNS)) == ["bare", "sales", "billing"]
    assert reasons(owner.get(RUNS, {"label": "team"})) == []


# --- Pages ------------------------------------------------------------------------------------


@pytest.fixture
def eleven(task):
    """Runs of which several were entered at the same moment."""
    return [
        run_of(task, reason=str(number), created_at=NOON + (number % 3) * MINUTE)
        for number in range(11)
    ]


def walk(api, address, link="next"):
    pages = []
    while address:
        pages.append(api.get(address).json())
        address = pages[-1][link]
    return pages


def ids(pages):
    return [run["id"] for page in pages for run in page["results"]]


@pytest.mark.parametrize("page_size", [1, 2, 3, 5, 11, 12])
@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
def test_page_links_visit_each_run_once_in_both_directions(api, task, eleven, ordering, page_size):
    expected = [
        str(run.pk)
        for run in sorted(
            eleven, key=lambda run: (run.created_at, run.pk), reverse=ordering.startswith("-")
        )
    ]
    for path in (RUNS, of(task)):
        first = f"{path}?ordering={ordering}&page_size={page_size}"

        forward = walk(api, first)
        last = forward[-2]["next"] if len(forward) > 1 else first
        backward = walk(api, last, "previous")[::-1]

        assert ids(forward) == expected
        assert [page["results"] for page in backward] == [page["results"] for page in forward]
        for page, following in pairwise(forward):
            assert api.get(following["previous"]).json()["results"] == page["results"]


def test_page_after_the_last_run_links_back(api, eleven):
    first = api.get(RUNS, {"page_size": 5}).json()
    second = api.get(first["next"]).json()
    Run.objects.exclude(pk__in=ids([first])).delete()

    beyond = api.get(second["next"]).json()
    back = api.get(beyond["previous"]).json()
    and_back = api.get(back["previous"]).json() if back["previous"] else back

    assert beyond["results"] == []
    assert ids([back]) == ids([first])
    assert ids([and_back]) == ids([back])


def test_new_runs_do_not_shift_pages(api, task, eleven):
    first = api.get(RUNS, {"page_size": 5}).json()
    expected = ids(walk(api, first["next"]))

    for number in range(7):
        run_of(task, created_at=NOON + HOUR + number * MINUTE)

    assert ids(walk(api, first["next"])) == expected


def test_list_has_a_fixed_number_of_queries(api, task, django_assert_num_queries):
    for number in range(50):
        run_of(task, id=uuid.uuid4(), created_at=NOON + number * MINUTE)

    for page_size in (1, 50):
        with django_assert_num_queries(KEY_QUERIES + 1):
            assert len(reasons(api.get(RUNS, {"page_size": page_size}))) == page_size
        with django_assert_num_queries(KEY_QUERIES + 2):
            assert len(reasons(api.get(of(task), {"page_size": page_size}))) == page_size
