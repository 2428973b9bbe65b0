"""`headers`, `queue`, `exchange` and `routing_key` of a periodic task."""

import pytest
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from tests.api.periodic_tasks.examples import (
    TASKS,
    address,
    heartbeat,
    mistakes,
    stored,
    update_row,
)

PROTOCOL_KEYS = (
    "argsrepr",
    "correlation_id",
    "eta",
    "expires",
    "group",
    "id",
    "ignore_result",
    "kwargsrepr",
    "lang",
    "meth",
    "origin",
    "parent_id",
    "periodic_task_name",
    "replaced_task_nesting",
    "reply_to",
    "retries",
    "root_id",
    "shadow",
    "stamped_headers",
    "stamps",
    "task",
    "timelimit",
)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-tenant": "acme"},
        {"X-Tenant": "", "x-1": "\U0001f600"},
        {f"x-{'a' * 100}": "long"},
    ],
)
def test_custom_headers_are_accepted(api, headers):
    response = api.post(TASKS, heartbeat(headers=headers))

    entry = ModelEntry(PeriodicTask.objects.get())
    assert response.status_code == 201
    assert response.json()["headers"] == headers
    assert entry.options["headers"] == {**headers, "periodic_task_name": "Heartbeat"}


@pytest.mark.parametrize("key", PROTOCOL_KEYS)
@pytest.mark.parametrize("spelling", [str, str.upper])
def test_headers_of_celery_are_refused(api, key, spelling):
    response = api.post(TASKS, heartbeat(headers={spelling(key): "5", "x-mine": "5"}))

    assert response.status_code == 400
    assert mistakes(response) == [(f"/headers/{spelling(key)}", "invalid_header")]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"tenant": "acme"}, [("/headers/tenant", "invalid_header")]),
        ({"": "acme"}, [("/headers/", "invalid_header")]),
        ({"x-": "acme"}, [("/headers/x-", "invalid_header")]),
        ({"x-a/b~c": "acme"}, [("/headers/x-a~1b~0c", "invalid_header")]),
        ({"x-ä": "acme"}, [("/headers/x-ä", "invalid_header")]),
        ({"x-\u212a": "acme"}, [("/headers/x-\u212a", "invalid_header")]),  # small: k
        ({"x-a\n": "acme"}, [("/headers/x-a\n", "invalid_header")]),
        ({f"x-{'a' * 101}": "acme"}, [(f"/headers/x-{'a' * 101}", "invalid_header")]),
        ({"x-tenant": 5}, [("/headers/x-tenant", "invalid")]),
        ({"x-tenant": None}, [("/headers/x-tenant", "invalid")]),
        ({"x-tenant": ["acme"]}, [("/headers/x-tenant", "invalid")]),
        (
            {"x-tenant": {"__type__": "bytes", "__value__": "a"}},
            [("/headers/x-tenant", "invalid")],
        ),
        (
            {"id": "1", "x-tenant": 5, "x-mine": "5"},
            [("/headers/id", "invalid_header"), ("/headers/x-tenant", "invalid")],
        ),
    ],
)
def test_invalid_headers_are_refused(api, headers, found):
    response = api.post(TASKS, heartbeat(headers=headers))

    assert response.status_code == 400
    assert mistakes(response) == found


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
