"""Queues that exist with other arguments: the sentence about each, and their migration."""

from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from scheduler_api.broker.queue_declaration import declare
from scheduler_api.broker.queue_migration import KEPT_SUFFIX, MigrationRefused, migrate_queue
from scheduler_api.broker.queue_mismatches import CUT_OFF, mismatch_of
from tests.scheduler.examples import make_app

MESSAGES = 7


@pytest.fixture
def connection(rabbitmq_url: str) -> Any:
    with Connection(rabbitmq_url) as opened:
        yield opened


def made_otherwise(queue: str, connection: Any, **arguments: Any) -> Any:
    """Declare a queue with other arguments than ours."""
    other = Queue(queue, Exchange(queue), queue, **arguments)(connection.default_channel)
    other.declare()
    return other


@pytest.mark.parametrize(
    ("arguments", "argument", "values"),
    [
        ({"max_priority": 10}, "x-max-priority", ("10", "not set")),
        ({"message_ttl": 60}, "x-message-ttl", ("60000", "not set")),
        ({"expires": 600}, "x-expires", ("600000", "not set")),
        ({"max_length": 5}, "x-max-length", ("5", "not set")),
        ({"queue_arguments": {"x-queue-type": "quorum"}}, "x-queue-type", ("quorum", "not set")),
        ({"queue_arguments": {"x-queue-type": "stream"}}, "x-queue-type", ("stream", "not set")),
        ({"queue_arguments": {"x-overflow": "drop-head"}}, "x-overflow", ("drop-head", "not set")),
        ({"durable": False}, "durable", ("false", "true")),
        ({"auto_delete": True}, "auto_delete", ("true", "false")),
    ],
)
def test_mismatch_names_the_argument_and_both_values(  # noqa: PLR0917 - a table
    app, queue, connection, arguments, argument, values
):
    made_otherwise(queue, connection, **arguments)

    mismatch = declare(app.amqp.queues[queue], connection)

    assert (mismatch.queue, mismatch.argument) == (queue, argument)
    assert (mismatch.there, mismatch.ours) == values
    assert mismatch.is_usable == ("stream" not in values)
    assert "{} is {} there, and {} in our settings.".format(argument, *values) in str(mismatch)


def test_queue_that_is_exclusive_to_another_program_is_not_usable(app, queue, connection):
    with connection.clone() as other:
        made_otherwise(queue, other, exclusive=True, durable=False)

        mismatch = declare(app.amqp.queues[queue], connection)

    assert (mismatch.argument, mismatch.is_usable) == ("exclusive", False)
    assert "Stop the program that declared it" in str(mismatch)


def test_exchange_of_another_type_is_named(app, queue, connection):
    Exchange(queue, type="topic")(connection.default_channel).declare()
    Queue(queue)(connection.default_channel).declare()

    mismatch = declare(app.amqp.queues[queue], connection)

    assert mismatch.argument == "type of its exchange"
    assert (mismatch.there, mismatch.ours) == ("topic", "direct")


def test_text_that_rabbitmq_cuts_off_still_names_the_argument():
    text = "PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'long' in vhost"

    mismatch = mismatch_of("long", code=406, text=text)

    assert (mismatch.argument, mismatch.there) == ("x-max-priority", CUT_OFF)


def test_other_refusals_are_quoted():
    mismatch = mismatch_of("q", code=403, text="ACCESS_REFUSED - configure access refused")

    assert "refuses to declare the queue 'q': ACCESS_REFUSED - configure" in str(mismatch)


# --- Migration ----------------------------------------------------------------------------------


def bodies(queue: str, connection: Any) -> list[Any]:
    """Take all messages out of a queue; return their bodies and priorities."""
    bound, taken = Queue(queue)(connection.default_channel), []
    while (message := bound.get(no_ack=True)) is not None:
        taken.append((message.payload, message.headers["x"], message.properties["priority"]))
    return taken


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_priority": 10},
        {"message_ttl": 600},
        {"queue_arguments": {"x-queue-type": "quorum"}},
        {"durable": False},
    ],
)
def test_migrated_queue_has_our_arguments_and_its_messages(app, queue, connection, arguments):
    made_otherwise(queue, connection, **arguments)
    sent = [(f"message {number}", "y", 3) for number in range(MESSAGES)]
    for body, header, priority in sent:
        connection.Producer().publish(
            body, routing_key=queue, headers={"x": header}, priority=priority
        )

    assert migrate_queue(app, queue) == MESSAGES

    assert declare(app.amqp.queues[queue], connection) is None
    assert bodies(queue, connection) == sent
    assert migrate_queue(app, queue) == 0, "it has our arguments already"


def test_interrupted_migration_is_continued(app, queue, connection):
    kept = Queue(f"{queue}{KEPT_SUFFIX}")(connection.default_channel)
    kept.declare()
    connection.Producer().publish("kept", routing_key=kept.name, headers={"x": "y"}, priority=0)

    assert migrate_queue(app, queue) == 1

    assert bodies(queue, connection) == [("kept", "y", 0)]
    with pytest.raises(connection.channel_errors):
        kept.queue_declare(passive=True)


@pytest.mark.parametrize("case", ["consumer", "stream", "exclusive", "unknown"])
def test_queue_that_cannot_be_migrated_is_refused(app, queue, connection, case):
    name = queue
    if case == "consumer":
        other = made_otherwise(queue, connection, max_priority=10)
        other.consume(callback=lambda _: None)
    elif case == "stream":
        made_otherwise(queue, connection, queue_arguments={"x-queue-type": "stream"})
    elif case == "exclusive":
        made_otherwise(queue, connection, exclusive=True, durable=False)
    else:
        name = "nobodys"

    with pytest.raises(MigrationRefused):
        migrate_queue(app, name)


def test_queue_of_another_broker_is_refused():
    with pytest.raises(MigrationRefused, match="Only queues of RabbitMQ"):
        migrate_queue(make_app(), "celery")
