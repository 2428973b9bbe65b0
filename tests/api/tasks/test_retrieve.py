"""GET /api/v1/tasks/{name}/."""

import pytest
from celery import current_app
from jsonschema import Draft202012Validator

TASKS = "/api/v1/tasks/"


def undocumented(*args, **kwargs):
    pass


@pytest.fixture
def registered():
    """Return a function that registers a task under a name."""
    tasks = []

    def register(name):
        tasks.append(current_app.task(name=name, lazy=False)(undocumented))

    yield register
    for task in tasks:
        current_app.tasks.unregister(task)


def test_retrieve_task_with_arguments(api):
    response = api.get(f"{TASKS}project.tasks.import_contacts/")

    assert response.status_code == 200
    assert response.json() == {
        "name": "project.tasks.import_contacts",
        "doc": "Import contacts, carefully or not.",
        "arguments": {
            "type": "object",
            "properties": {
                "arg1": {"type": "string"},
                "arg2": {"type": "string"},
                "be_careful": {"type": "boolean", "default": False},
            },
            "required": ["arg1", "arg2"],
            "additionalProperties": False,
        },
        "worker_count": 0,
        "last_seen_at": None,
        "workers": [],
    }


def test_retrieve_task_without_arguments(api):
    arguments = api.get(f"{TASKS}project.tasks.heartbeat/").json()["arguments"]

    assert arguments == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


def test_retrieve_task_without_docstring_or_hints(api, registered):
    registered("tests.undocumented")

    task = api.get(f"{TASKS}tests.undocumented/").json()

    assert task["doc"] == ""
    Draft202012Validator(task["arguments"]).validate({"anything": ["at", {"all": None}]})


def test_schema_of_a_task_validates_arguments(api):
    schema = api.get(f"{TASKS}project.tasks.import_contacts/").json()["arguments"]
    validator = Draft202012Validator(schema)

    assert validator.is_valid({"arg1": "a", "arg2": "b", "be_careful": True})
    assert not validator.is_valid({"arg1": "a"})
    assert not validator.is_valid({"arg1": "a", "arg2": 5})
    assert not validator.is_valid({"arg1": "a", "arg2": "b", "careful": True})


def test_retrieve_task_without_trailing_slash(api):
    assert api.get(f"{TASKS}project.tasks.add").status_code == 200


@pytest.mark.parametrize("name", ["with space", "ünïcode", "per%cent", "hash#tag", "question?"])
def test_retrieve_task_with_special_characters_in_its_name(api, registered, name):
    registered(name)
    address = "".join(f"%{byte:02x}" for byte in name.encode())

    response = api.get(f"{TASKS}{address}/")

    assert response.status_code == 200
    assert response.json()["name"] == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("project.tasks.ad", "did you mean 'project.tasks.add'?"),
        ("project.tasks.importcontacts", "did you mean 'project.tasks.import_contacts'?"),
        ("PROJECT", "known: project.tasks.add, "),
        ("celery.backend_cleanup", "There is no task 'celery.backend_cleanup'"),
    ],
)
def test_retrieve_unknown_task_is_not_found_with_a_suggestion(api, name, hint):
    response = api.get(f"{TASKS}{name}/")

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"
    assert hint in response.json()["detail"]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_task_is_read_only(api, method):
    response = getattr(api, method)(f"{TASKS}project.tasks.add/", {})

    assert response.status_code == 405


def test_retrieve_task_with_a_query_parameter_is_refused(api):
    response = api.get(f"{TASKS}project.tasks.add/", {"expand": "arguments"})

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "expand"
