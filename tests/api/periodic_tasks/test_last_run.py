"""The newest run of a periodic task: `last_run`, its filter, and the order by the next run."""

from datetime import timedelta

import pytest

from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.runs.models import Run
from tests.api.http.responses import mistakes
from tests.api.periodic_tasks.examples import TASKS, stored
from tests.api.runs.examples import NOON, RUNS, run_of

pytestmark = pytest.mark.both_databases

SECOND = timedelta(seconds=1)


def names(response) -> list[str]:
    assert response.status_code == 200, response.json()
    return [task["name"] for task in response.json()["results"]]


def test_task_without_a_run_has_no_last_run(api):
    task = stored()

    assert api.get(f"{TASKS}{task.pk}/").json()["last_run"] is None
    assert api.get(TASKS).json()["results"][0]["last_run"] is None


@pytest.mark.parametrize("state", Run.State.values)
def test_last_run_is_the_newest_run_in_any_state(api, state):
    task, another = stored(name="one"), stored(name="another")
    run_of(task, state="succeeded", created_at=NOON)
    newest = run_of(task, state=state, created_at=NOON + SECOND, slot_at=NOON)
    run_of(another, state="failed", created_at=NOON + 2 * SECOND)

    shown = api.get(f"{TASKS}{task.pk}/").json()["last_run"]

    run = api.get(f"{RUNS}{newest.pk}/").json()
    assert shown == {name: run[name] for name in shown}
    assert (shown["id"], shown["state"]) == (str(newest.pk), state)
    assert [row["last_run"] for row in api.get(TASKS, {"name": "one"}).json()["results"]] == [
        shown
    ]


@pytest.mark.parametrize("microsecond", [0, 1, 120_000, 999_999])
def test_times_of_the_last_run_are_those_of_the_run(api, microsecond):
    task = stored()
    at = NOON.replace(microsecond=microsecond)
    run = run_of(task, state="succeeded", slot_at=at, started_at=at, finished_at=at + SECOND)

    shown = api.get(f"{TASKS}{task.pk}/").json()["last_run"]

    listed = api.get(f"{RUNS}{run.pk}/").json()
    for name in ("slot_at", "started_at", "finished_at"):
        assert shown[name] == listed[name]


def test_last_run_is_no_part_of_the_etag(api):
    task = stored()
    before = api.get(f"{TASKS}{task.pk}/").headers["ETag"]
    run_of(task, state="failed")

    assert api.get(f"{TASKS}{task.pk}/").headers["ETag"] == before


def test_definition_with_its_last_run_can_be_sent_back(api):
    task = stored()
    run_of(task, state="failed")
    shown = api.get(f"{TASKS}{task.pk}/").json()

    assert api.put(f"{TASKS}{task.pk}/", shown).json()["last_run"] == shown["last_run"]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("failed", ["fails"]),
        ("succeeded", ["recovers"]),
        ("failed,succeeded", ["fails", "recovers"]),
        ("lost", []),
    ],
)
def test_filter_selects_by_the_state_of_the_newest_run_alone(api, states, expected):
    fails, recovers = stored(name="fails"), stored(name="recovers")
    stored(name="never")
    for task, first, second in ((fails, "succeeded", "failed"), (recovers, "failed", "succeeded")):
        run_of(task, state=first, created_at=NOON)
        run_of(task, state=second, created_at=NOON + SECOND)

    assert names(api.get(TASKS, {"last_run_state": states, "ordering": "name"})) == expected


@pytest.mark.parametrize("value", ["", "broken", "failed,broken"])
def test_filter_by_an_unknown_state_is_refused(api, value):
    response = api.get(TASKS, {"last_run_state": value})

    assert response.status_code == 400
    assert {place for place, _ in mistakes(response)} == {"last_run_state"}


@pytest.mark.parametrize("page_size", [1, 2, 50])
@pytest.mark.parametrize("minus", ["", "-"])
def test_list_is_ordered_by_the_next_run_with_none_last(api, page_size, minus):
    for name, minutes in (("b", 2), ("none", None), ("a", 1), ("c", 3)):
        task = stored(name=name)
        slot_at = None if minutes is None else NOON + timedelta(minutes=minutes)
        Agenda.objects.filter(pk=task.pk).update(slot_at=slot_at, due_at=slot_at)

    query = {"ordering": f"{minus}next_run_at", "page_size": page_size}
    response = api.get(TASKS, query)
    found = names(response)
    while url := response.json()["next"]:
        response = api.get(url)
        found += names(response)

    assert found == [*(["c", "b", "a"] if minus else ["a", "b", "c"]), "none"]
