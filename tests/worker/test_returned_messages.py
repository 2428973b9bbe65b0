"""Messages that a worker cannot run: it gives each back, and goes on with its own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from kombu import Connection, Exchange, Queue
from kombu.transport.pyamqp import Transport

from project import celery_app
from scheduler_api.worker import returned_messages
from scheduler_api.worker.returned_messages import MessageReturn, ReturnedTasks
from tests.broker.publishing import wait_until
from tests.journeys.conftest import new_queue
from tests.scheduler.examples import make_app

# A worker that gives messages back after a test also writes its row.
pytestmark = pytest.mark.django_db(transaction=True)

JSON = {"content_type": "application/json", "content_encoding": "utf-8"}
CALL = json.dumps([[], {}, {}])
OTHER_CALL = json.dumps({"id": "1", "task": "billing.charge", "args": [], "kwargs": {}})
MESSAGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "unknown task": (CALL, {"headers": {"id": "1", "task": "billing.charge"}, **JSON}),
    "unknown task of protocol 1": (OTHER_CALL, JSON),
    "unknown task without an id": (CALL, {"headers": {"task": "billing.charge"}, **JSON}),
    "unreadable body of an unknown task": (
        b"\xff",
        {"headers": {"id": "1", "task": "billing.charge"}, **JSON},
    ),
    "no task": ("[1, 2]", JSON),
    "text": ("hello", {"content_type": "text/plain", "content_encoding": "utf-8"}),
    "no JSON": ("{", JSON),
    "pickle": (
        b"\x80\x04.",
        {"content_type": "application/x-python-serialize", "content_encoding": "binary"},
    ),
    "pickle for a known task": (
        b"\x80\x04.",
        {
            "headers": {"id": "1", "task": "add"},
            "content_type": "application/x-python-serialize",
            "content_encoding": "binary",
        },
    ),
    "no JSON for a known task": ("{", {"headers": {"id": "1", "task": "add"}, **JSON}),
    "unknown compression": (CALL, {"headers": {"task": "add", "compression": "none"}, **JSON}),
    "task that is a list": (CALL, {"headers": {"id": "1", "task": ["add"]}, **JSON}),
    "no id for a known task": (CALL, {"headers": {"task": "add"}, **JSON}),
    "no time as eta": (CALL, {"headers": {"id": "1", "task": "add", "eta": "soon"}, **JSON}),
}


@pytest.fixture(params=["classic", "static", "quorum"])
def queue(
    request: pytest.FixtureRequest, rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A queue of RabbitMQ, bound to a channel; `static` stands for RabbitMQ from version 4 on."""
    if request.param == "static":
        monkeypatch.setattr(Transport, "qos_semantics_matches_spec", lambda *_: True)
    arguments = {"x-queue-type": "quorum"} if request.param == "quorum" else {}
    name = new_queue()
    with Connection(rabbitmq_url) as connection:
        made = Queue(name, Exchange(name), name, queue_arguments=arguments)
        bound = made(connection.default_channel)
        bound.declare()
        yield bound
        bound.delete()


@pytest.fixture
def ran() -> list[int]:
    """The numbers for which the worker's own task has run."""
    return []


@pytest.fixture
def app(rabbitmq_url: str, queue: Any, ran: list[int]) -> Any:
    made = make_app(rabbitmq_url, queue=queue.name)
    made.conf.task_queues = [Queue(queue.name, Exchange(queue.name), queue.name)]

    @made.task(name="own", shared=False)
    def own(number: int) -> None:
        ran.append(number)

    return made


@pytest.fixture
def worker(app: Any) -> Iterator[Any]:
    """A function that starts a worker."""
    yield lambda: start_worker(app, pool="solo", perform_ping_check=False)
    celery_app.set_current()
    celery_app.set_default()


def publish(queue: Any, body: Any, options: dict[str, Any]) -> None:
    with Connection(queue.channel.connection.client.as_uri(include_password=True)) as connection:
        connection.Producer().publish(body, routing_key=queue.name, **options)


def taken(queue: Any, count: int) -> list[Any]:
    """Take messages out of a queue, until it has had this many."""
    found: list[Any] = []

    def has_all() -> bool:
        # Not by kombu, which cannot read each of them.
        while (message := queue.channel.basic_get(queue.name, no_ack=True)) is not None:
            found.append(message)
        return len(found) >= count

    wait_until(has_all)
    return found


def test_worker_gives_all_messages_that_it_cannot_run_back(app, queue, worker, ran):
    for body, options in MESSAGES.values():
        publish(queue, body, options)

    with worker():
        app.send_task("own", [1])
        wait_until(lambda: ran)

    returned = taken(queue, len(MESSAGES))
    assert sorted(contents(message.body, message.properties) for message in returned) == sorted(
        contents(body, {**options, "application_headers": options.get("headers", {})})
        for body, options in MESSAGES.values()
    )


def contents(body: Any, properties: Any) -> str:
    """Describe a message, without what a quorum queue adds."""
    headers = dict(properties.get("application_headers", {}))
    headers.pop("x-delivery-count", None)
    text = body.decode("latin-1") if isinstance(body, bytes) else body
    return repr((text, sorted(map(repr, headers.items())), properties["content_type"]))


def test_more_messages_than_a_worker_holds_do_not_stop_it(app, queue, worker, ran, monkeypatch):
    monkeypatch.setattr(returned_messages, "CROWD", 2)
    monkeypatch.setattr(returned_messages, "MAX_HELD", 3)
    monkeypatch.setattr(returned_messages, "CROWDED_HOLD", returned_messages.FIRST_HOLD)
    count = 30
    for number in range(count):
        headers = {"id": str(number), "task": "billing.charge", "x-own": "kept"}
        publish(queue, CALL, {"headers": headers, "priority": 3, **JSON})

    with worker():
        app.send_task("own", [1])
        wait_until(lambda: ran)

    returned = [message.properties for message in taken(queue, count)]
    headers = [properties["application_headers"] for properties in returned]
    assert sorted(int(each["id"]) for each in headers) == list(range(count))
    assert {each["x-own"] for each in headers} == {"kept"}
    assert {properties["priority"] for properties in returned} == {3}


# --- Parts --------------------------------------------------------------------------------------


def test_returned_tasks_are_logged_once_a_minute_and_forgotten_after_two():
    tasks = ReturnedTasks()

    logged = [tasks.add("celery", "x", now=now) for now in (0.0, 1.0, 59.0, 61.0, 62.0)]

    assert logged == [1, 0, 0, 3, 0]
    assert tasks.add("celery", "y", now=62.0) == 1
    assert tasks.recent(now=100.0) == [("celery", "x"), ("celery", "y")]
    assert tasks.recent(now=182.0) == []


def test_step_is_part_of_every_worker():
    from celery.worker.consumer.tasks import Tasks  # noqa: PLC0415

    assert MessageReturn in Tasks.requires
