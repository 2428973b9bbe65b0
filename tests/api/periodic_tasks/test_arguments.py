"""`args` and `kwargs`: JSON that must fit the signature of the task."""

import json

import pytest
from celery import current_app
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from tests.api.periodic_tasks.examples import (
    TASKS,
    address,
    heartbeat,
    imports,
    mistakes,
    stored,
    stored_import,
    update_row,
)


def take_anything(*args, **kwargs):
    pass


@pytest.fixture
def anything():
    """A task that accepts any arguments."""
    task = current_app.task(name="tests.anything", lazy=False)(take_anything)
    yield task
    current_app.tasks.unregister(task)


@pytest.mark.parametrize(
    ("task", "args", "kwargs"),
    [
        ("import_contacts", ["a", "b"], {}),
        ("import_contacts", ["a", "b", True], {}),
        ("import_contacts", ["a"], {"arg2": "b"}),
        ("import_contacts", [], {"arg1": "a", "arg2": "b", "be_careful": False}),
        ("add", [1, 2], {}),
        ("sleep", [1], {}),
        ("sleep", [], {}),
        ("clean_up", [], {"older_than_days": 1}),
        ("heartbeat", [], {}),
    ],
)
def test_arguments_that_fit_the_signature_are_accepted(api, task, args, kwargs):
    body = heartbeat(task=f"project.tasks.{task}", args=args, kwargs=kwargs)

    response = api.post(TASKS, body)

    entry = ModelEntry(PeriodicTask.objects.get())
    assert response.status_code == 201
    assert (response.json()["args"], response.json()["kwargs"]) == (args, kwargs)
    assert (entry.args, entry.kwargs) == (args, kwargs)


@pytest.mark.both_databases
def test_arguments_are_returned_unchanged(api, anything):
    args = [None, True, 0, -1, 2**70, 1.5, 1e300, "", 'ä\U0001f600"\\/\n\x7f', [], {}, [[{}]]]
    kwargs = {"self": 1, "": 2, "ä b": {"deep": [1, {"er": None}]}, "__type__": "alone"}

    response = api.post(TASKS, heartbeat(task=anything.name, args=args, kwargs=kwargs))

    entry = ModelEntry(PeriodicTask.objects.get())
    read = api.get(response.headers["Location"]).json()
    assert json.dumps([read["args"], read["kwargs"]]) == json.dumps([args, kwargs])
    assert json.dumps([entry.args, entry.kwargs]) == json.dumps([args, kwargs])


@pytest.mark.parametrize(
    ("args", "kwargs", "found"),
    [
        (
            [],
            {},
            [("/kwargs/arg1", "missing_argument"), ("/kwargs/arg2", "missing_argument")],
        ),
        (["a"], {}, [("/kwargs/arg2", "missing_argument")]),
        (["a", "b", True, 4], {}, [("/args/3", "unexpected_argument")]),
        (["a", "b"], {"careful": True}, [("/kwargs/careful", "unexpected_argument")]),
        (["a", "b"], {"a/b~c": 1}, [("/kwargs/a~1b~0c", "unexpected_argument")]),
        (["a", "b"], {"arg2": "b"}, [("/kwargs/arg2", "duplicate_argument")]),
        (["a", "b"], {"be_careful": "yes"}, [("/kwargs/be_careful", "invalid_argument")]),
        (["a", "b"], {"be_careful": 1}, [("/kwargs/be_careful", "invalid_argument")]),
        (["a", "b"], {"be_careful": None}, [("/kwargs/be_careful", "invalid_argument")]),
        (["a", "b", "yes"], {}, [("/args/2", "invalid_argument")]),
        ([1, None], {}, [("/args/0", "invalid_argument"), ("/args/1", "invalid_argument")]),
        (
            [1],
            {"arg1": "a", "be_careful": "yes", "carefully": True},
            [
                ("/args/0", "invalid_argument"),
                ("/kwargs/arg1", "duplicate_argument"),
                ("/kwargs/arg2", "missing_argument"),
                ("/kwargs/be_careful", "invalid_argument"),
                ("/kwargs/carefully", "unexpected_argument"),
            ],
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_their_pointer(api, args, kwargs, found):
    response = api.post(TASKS, imports(args=args, kwargs=kwargs))

    assert response.status_code == 400
    assert mistakes(response) == found
    assert not PeriodicTask.objects.exists()


def test_misspelt_argument_gets_a_suggestion(api):
    response = api.post(TASKS, imports(kwargs={"be_carefull": True}))

    assert 'did you mean "be_careful"?' in response.json()["errors"][0]["detail"]


# --- Task name ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["project.tasks.import_contact", "project.tasks.IMPORT_CONTACTS", "import_contacts"]
)
def test_unregistered_task_is_refused(api, name):
    response = api.post(TASKS, imports(task=name))

    assert response.status_code == 400
    assert mistakes(response) == [("/task", "unregistered_task")]


def test_misspelt_task_gets_a_suggestion(api):
    response = api.post(TASKS, imports(task="project.tasks.import_contact"))

    assert (
        response.json()["errors"][0]["detail"]
        == "There is no task 'project.tasks.import_contact'; "
        "did you mean 'project.tasks.import_contacts'? A task becomes known when a worker "
        "that has it starts: check the name, or start or restart the worker."
    )


@pytest.mark.parametrize("name", ["celery.backend_cleanup", "celery.chord", "celery.map"])
def test_builtin_task_of_celery_is_refused(api, name):
    response = api.post(TASKS, heartbeat(task=name))

    assert mistakes(response) == [("/task", "unregistered_task")]


# --- Changes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"kwargs": {"be_careful": "yes"}}, [("/kwargs/be_careful", "invalid_argument")]),
        ({"kwargs": {"arg1": "a"}}, [("/kwargs/arg1", "duplicate_argument")]),
        ({"args": ["a"]}, [("/kwargs/arg2", "missing_argument")]),
        ({"args": ["a", "b", False]}, [("/kwargs/be_careful", "duplicate_argument")]),
        (
            {"task": "project.tasks.add"},
            [
                ("/args/0", "invalid_argument"),
                ("/args/1", "invalid_argument"),
                ("/kwargs/be_careful", "unexpected_argument"),
            ],
        ),
    ],
)
def test_change_of_arguments_is_validated_with_the_stored_ones(api, fields, found):
    task = stored_import()

    response = api.patch(address(task), fields)

    assert response.status_code == 400
    assert mistakes(response) == found


@pytest.mark.parametrize(
    "fields",
    [
        {"kwargs": {}},
        {"args": ["a"], "kwargs": {"arg2": "b"}},
        {"task": "project.tasks.add", "args": [1, 2], "kwargs": {}},
    ],
)
def test_change_of_arguments_that_fits_the_stored_ones_is_accepted(api, fields):
    task = stored_import()

    response = api.patch(address(task), fields)

    assert response.status_code == 200
    assert response.json() == {**response.json(), **fields}


def test_argument_true_differs_from_one(api, anything):
    task = stored(task=anything.name, args="[1]")

    response = api.patch(address(task), {"args": [True]})

    assert response.json()["args"] == [True]
    assert api.get(address(task)).json()["args"][0] is True


# --- Limits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "is_accepted"),
    [
        (["a" * (64 * 1024 - 5)], {}, False),
        (["a" * (64 * 1024 - 6)], {}, True),
        ([], {"k": "a" * (64 * 1024 - 10)}, False),
        ([], {"k": "a" * (64 * 1024 - 11)}, True),
        (["a" * 40_000], {"k": "b" * 40_000}, False),
        (["ä" * 20_000], {}, False),  # stored as \u00e4
        (["ä" * 10_000], {}, True),
    ],
)
def test_arguments_beyond_64_kib_are_refused(api, anything, args, kwargs, is_accepted):
    response = api.post(TASKS, heartbeat(task=anything.name, args=args, kwargs=kwargs))

    if is_accepted:
        assert response.status_code == 201
    else:
        assert response.status_code == 400
        assert mistakes(response) == [("/kwargs", "too_large")]


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "datetime", "__value__": "2027-01-01T00:00:00"},
        {"__type__": "datetime", "__value__": "yesterday"},
        {"__type__": "datetime", "__value__": 5},
        {"__type__": "decimal", "__value__": "abc"},
        {"__type__": "bytes", "__value__": None},
        {"__type__": "uuid", "__value__": []},
        {"__type__": "unheard_of", "__value__": 1},
        {"__type__": [], "__value__": 1},
        [{"deep": {"__type__": "base64", "__value__": "YQ=="}}],
    ],
)
@pytest.mark.parametrize("field", ["args", "kwargs"])
def test_argument_reserved_by_celerys_json_is_refused(api, anything, field, value):
    arguments = {"args": [value]} if field == "args" else {"kwargs": {"value": value}}

    response = api.post(TASKS, heartbeat(task=anything.name, **arguments))

    assert response.status_code == 400
    assert (f"/{field}", "reserved_object") in mistakes(response)


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "datetime"},
        {"__value__": 5},
        {"__type__": "datetime", "__value__": "2027-01-01T00:00:00", "more": 1},
        "__type__",
    ],
)
def test_argument_similar_to_a_reserved_one_is_accepted(api, anything, value):
    assert api.post(TASKS, heartbeat(task=anything.name, args=[value])).status_code == 201


# --- Invalid stored rows --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "read"),
    [
        ("", "", ([], {})),
        ("[]", "{}", ([], {})),
        (" [ 1 ] ", '{"a":1}', ([1], {"a": 1})),
        ('["ä"]', '{"ä": "\\u00e4"}', (["ä"], {"ä": "ä"})),
        ("{}", "[]", (None, None)),
        ("5", '"abc"', (None, None)),
        ("null", "null", (None, None)),
        ("arg1, arg2", "{'be_careful': True}", (None, None)),
        ("[NaN]", '{"a": -Infinity}', (None, None)),
        ("[1e999]", '{"a": 1e999}', (None, None)),
        ('["\\ud800"]', '{"\\ud800": 1}', (None, None)),
        ("[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, (None, None)),
        ("[" + "9" * 5000 + "]", "{", (None, None)),
    ],
    ids=range(13),
)
def test_stored_arguments_are_shown_if_readable(api, args, kwargs, read):
    task = stored()
    update_row(task, args=args, kwargs=kwargs)

    one = api.get(address(task)).json()
    [listed] = api.get(TASKS).json()["results"]

    assert (one["args"], one["kwargs"]) == read
    assert listed == one


@pytest.mark.parametrize("field", ["args", "kwargs"])
def test_unreadable_arguments_can_be_repaired(api, field):
    task = stored_import()
    repair = {"args": ["a", "b"], "kwargs": {"be_careful": False}}
    update_row(task, **{field: "garbage"})

    response = api.patch(address(task), {field: repair[field]})

    assert response.status_code == 200
    assert response.json()[field] == repair[field]


def test_unreadable_arguments_can_be_replaced(api):
    task = stored_import(args="garbage", kwargs="5", headers="[]")

    response = api.put(address(task), imports())

    assert response.status_code == 200
    assert (response.json()["args"], response.json()["headers"]) == (["arg1", "arg2"], {})
