"""The publisher on Redis and on files."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from scheduler_api.broker.outgoing import PublishFailure
from tests.broker.publishing import failures, publish, received, wait_until
from tests.scheduler.examples import make_app, outgoing


@pytest.fixture(params=["redis", "filesystem"])
def other_app(request: Any, tmp_path: Any) -> Iterator[tuple[Celery, str]]:
    name = f"test-{uuid.uuid4().hex}"
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        app = make_app(url, queue=name)
    else:
        names = ("data_folder_in", "data_folder_out", "control_folder")
        folders = dict.fromkeys(names, str(tmp_path))
        app = make_app("filesystem://", queue=name, broker_transport_options=folders)
    yield app, name
    if request.param == "redis":
        with app.connection_for_write() as connection:
            for queue in app.amqp.queues.values():
                connection.default_channel.client.delete(
                    queue.name, f"_kombu.binding.{queue.exchange.name}"
                )


def test_other_brokers_receive_the_same_messages(start, other_app):
    app, queue = other_app
    runs = [outgoing("any", number) for number in range(120)]
    wrong = outgoing("add")

    result = publish(start(app), *runs, wrong)

    assert result.confirmed == [run.id for run in runs]
    assert failures(result) == {wrong.id: PublishFailure.REFUSED}
    messages = received(app, queue)
    assert [message.headers["id"] for message in messages] == [run.id for run in runs]
    assert messages[0].headers["periodic_task_name"] == "Example"


def test_unreachable_other_broker_is_named(start, short_timeouts):
    publisher = start(make_app("redis://127.0.0.1:1"), ready=False)

    wait_until(lambda: publisher.publish_error.startswith("The broker does not answer: "))
