"""`headers`, `queue`, `exchange` and `routing_key` of a periodic task."""

import pytest
from celery.app.task import Context
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from scheduler_api.broker.capture import capture
from scheduler_api.periodic_tasks.message_headers import CELERY_HEADERS, RESERVED_HEADERS
from tests.api.periodic_tasks.examples import (
    TASKS,
    address,
    heartbeat,
    mistakes,
    stored,
    update_row,
)
from tests.scheduler.examples import make_app, outgoing


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-tenant": "acme"},
        {"X-Tenant": "", "x-1": "\U0001f600"},
        {"a" * 255: "long"},
        {"tenant": "acme", "ä b\n": "any name", "Task": "another case"},
        {"retry": 5, "ratio": 0.5, "debug": True, "parent": None},
        {"tags": ["a", 1, {"b": [None]}], "trace": {"id": "7", "sampled": False}},
        {"largest": 2**63 - 1, "smallest": -(2**63) + 1},
    ],
)
def test_custom_headers_are_accepted(api, headers):
    response = api.post(TASKS, heartbeat(headers=headers))

    entry = ModelEntry(PeriodicTask.objects.get())
    assert response.status_code == 201
    assert response.json()["headers"] == headers
    assert entry.options["headers"] == {**headers, "periodic_task_name": "Heartbeat"}


@pytest.mark.parametrize(
    "name",
    [
        *("argsrepr", "correlation_id", "eta", "expires", "group", "id", "ignore_result"),
        *("kwargsrepr", "lang", "origin", "parent_id", "periodic_task_name", "celery_beat_task"),
        *("replaced_task_nesting", "reply_to", "retries", "root_id", "shadow", "stamped_headers"),
        *("stamps", "task", "timelimit", "compression", "headers", "get", "update", "CC", "BCC"),
    ],
)
def test_headers_of_celery_and_rabbitmq_are_refused(api, name):
    response = api.post(TASKS, heartbeat(headers={name: "5", "x-mine": "5"}))

    assert response.status_code == 400
    assert mistakes(response) == [(f"/headers/{name}", "invalid_header")]


def test_each_header_of_a_message_of_celery_is_reserved():
    message = capture(make_app(), outgoing("any", options={"headers": {"x-mine": 1}}))

    assert message.headers.keys() - {"x-mine"} <= RESERVED_HEADERS


@pytest.mark.parametrize("name", sorted(CELERY_HEADERS))
def test_header_is_reserved_if_celery_hides_it_from_tasks(name):
    assert Context()._get_custom_headers({name: None, "x-mine": 1}) == {"x-mine": 1}


@pytest.mark.parametrize(
    ("headers", "pointer"),
    [
        ({"": "acme"}, "/headers/"),
        ({"a" * 256: "acme"}, f"/headers/{'a' * 256}"),
        ({"ä" * 128: "acme"}, f"/headers/{'ä' * 128}"),
        ({"trace": {"ä" * 128: 1}}, "/headers/trace"),
        ({"number": 2**63}, "/headers/number"),
        ({"numbers": [0, {"deep": -(2**63)}]}, "/headers/numbers"),
        ({"x-a/b~c": 2**63}, "/headers/x-a~1b~0c"),
        ({"x": {"__type__": "bytes", "__value__": "a"}}, "/headers/x"),
    ],
)
def test_headers_that_amqp_cannot_carry_are_refused(api, headers, pointer):
    response = api.post(TASKS, heartbeat(headers=headers))

    assert response.status_code == 400
    assert mistakes(response) == [(pointer, "invalid_header")]


def test_headers_longer_than_a_frame_are_refused(api):
    response = api.post(TASKS, heartbeat(headers={"x": "a" * 65536}))

    assert mistakes(response) == [("/headers", "too_large")]


@pytest.mark.parametrize(
    ("text", "read"),
    [("", {}), ('{"retries": 5}', {"retries": 5}), ("[]", None), ('"x"', None), ("{", None)],
)
def test_stored_headers_are_shown_if_readable(api, text, read):
    task = stored()
    update_row(task, headers=text)

    assert api.get(address(task)).json()["headers"] == read
    assert api.get(TASKS).json()["results"][0]["headers"] == read


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_unreadable_headers_can_be_repaired(api, text):
    task = stored()
    update_row(task, headers=text)

    response = api.patch(address(task), {"headers": {"x-tenant": "acme"}})

    assert response.status_code == 200
    assert response.json()["headers"] == {"x-tenant": "acme"}


# --- Routing --------------------------------------------------------------------------------


@pytest.mark.parametrize("queue", ["celery", None])
def test_configured_queue_is_accepted(api, queue):
    response = api.post(TASKS, heartbeat(queue=queue))

    assert response.status_code == 201
    assert response.json()["queue"] == queue


def test_every_queue_of_the_settings_is_accepted(api, settings):
    settings.QUEUES = ["celery", "slow"]

    assert api.post(TASKS, heartbeat(queue="slow")).status_code == 201


@pytest.mark.parametrize("queue", ["celerie", "CELERY", "slow", "amq.gen-1"])
def test_undeclared_queue_is_refused(api, queue):
    response = api.post(TASKS, heartbeat(queue=queue))

    assert response.status_code == 400
    assert mistakes(response) == [("/queue", "unknown_queue")]


def test_misspelt_queue_gets_a_suggestion(api):
    response = api.post(TASKS, heartbeat(queue="celerie"))

    assert "did you mean 'celery'?" in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize("field", ["exchange", "routing_key"])
def test_custom_route_is_refused_unless_a_setting_enables_it(api, settings, field):
    body = heartbeat(**{field: "reports"})

    refused = api.post(TASKS, body)
    settings.ALLOW_CUSTOM_ROUTING = True
    taken = api.post(TASKS, body)

    assert mistakes(refused) == [(f"/{field}", "not_allowed")]
    assert taken.status_code == 201
    assert taken.json()[field] == "reports"
    assert ModelEntry(PeriodicTask.objects.get()).options[field] == "reports"


@pytest.mark.parametrize("field", ["exchange", "routing_key"])
@pytest.mark.parametrize(
    ("value", "code"),
    [("", "blank"), ("a" * 201, "max_length"), ("ä" * 128, "too_large"), (5, "invalid")],
)
def test_custom_route_beyond_the_limits_of_amqp_is_refused(api, settings, field, value, code):
    settings.ALLOW_CUSTOM_ROUTING = True

    response = api.post(TASKS, heartbeat(**{field: value}))

    assert response.status_code == 400
    assert mistakes(response) == [(f"/{field}", code)]


@pytest.mark.parametrize("field", ["exchange", "routing_key"])
def test_custom_route_can_be_removed_but_not_restored(api, field):
    task = stored(**{field: "reports"})

    taken = api.patch(address(task), {field: None})
    refused = api.patch(address(task), {field: "reports"})

    assert taken.status_code == 200
    assert taken.json()[field] is None
    assert mistakes(refused) == [(f"/{field}", "not_allowed")]
