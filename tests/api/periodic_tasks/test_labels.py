"""Labels: keys and values for filtering periodic tasks."""

import pytest

from tests.api.periodic_tasks.examples import TASKS, address, imports, mistakes, stored

pytestmark = pytest.mark.both_databases


def test_labels_are_stored_and_shown(api):
    response = api.post(TASKS, imports(labels={"team": "sales", "a.b/c-d_1": ""}))

    assert response.status_code == 201
    assert response.json()["labels"] == {"a.b/c-d_1": "", "team": "sales"}


def test_labels_are_replaced_as_a_whole(api):
    made = api.post(TASKS, imports(labels={"team": "sales", "tier": "1"})).json()

    changed = api.patch(f"{TASKS}{made['id']}/", {"labels": {"team": "billing"}})
    kept = api.patch(f"{TASKS}{made['id']}/", {"description": "New"})
    replaced = api.put(f"{TASKS}{made['id']}/", imports())

    assert changed.json()["labels"] == {"team": "billing"}
    assert changed.json()["revision"] == 2
    assert kept.json()["labels"] == {"team": "billing"}
    assert replaced.json()["labels"] == {}


def test_labels_can_be_set_on_an_unmanaged_task(api):
    task = stored()

    response = api.patch(address(task), {"labels": {"team": "sales"}})

    assert response.json()["labels"] == {"team": "sales"}
    assert response.json()["managed_by"] == "admin"
    assert response.json()["owner"] is None


@pytest.mark.parametrize(
    ("labels", "pointer"),
    [
        ([], "/labels"),
        ({"Team": "sales"}, "/labels"),
        ({"": "sales"}, "/labels"),
        ({"-team": "sales"}, "/labels"),
        ({"team=x": "sales"}, "/labels"),
        ({"a,b": "sales"}, "/labels"),
        ({"x" * 64: "sales"}, "/labels"),
        ({"team": 1}, "/labels/team"),
        ({"team": None}, "/labels/team"),
        ({"team": "x" * 201}, "/labels/team"),
        ({f"key{number}": "" for number in range(33)}, "/labels"),
    ],
)
def test_invalid_labels_are_refused(api, labels, pointer):
    response = api.post(TASKS, imports(labels=labels))

    assert response.status_code == 400
    assert [place for place, _ in mistakes(response)] == [pointer]


@pytest.mark.parametrize(
    ("label", "names"),
    [
        ("team=sales", ["both", "one"]),
        ("team", ["both", "one", "other"]),
        ("tier=1", ["both"]),
        ("team=sales,tier=1", ["both"]),
        ("team=sales,tier=2", []),
        ("team=", []),
        ("contains=1", ["odd"]),
        ("2026=1", ["odd"]),
        ("2026", ["odd"]),
        ("0", []),
        ("9" * 400, []),
        ("nothing", []),
    ],
)
def test_label_filter_selects_matches(api, label, names):
    for name, labels in {
        "one": {"team": "sales"},
        "both": {"team": "sales", "tier": "1"},
        "other": {"team": "billing"},
        "odd": {"contains": "1", "2026": "1"},
        "none": {},
    }.items():
        assert api.post(TASKS, imports(name=name, labels=labels)).status_code == 201
    stored(name="made by the ORM")

    response = api.get(TASKS, {"label": label, "ordering": "name"})

    assert [task["name"] for task in response.json()["results"]] == names
