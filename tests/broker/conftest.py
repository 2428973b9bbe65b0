"""Publishers, and the brokers that they publish to."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import Celery
from kombu import Connection

from scheduler_api.broker import connection, rabbitmq_transport
from scheduler_api.broker import publisher as publisher_module
from scheduler_api.broker.publisher import Publisher
from tests.broker.proxy import Proxy
from tests.broker.publishing import wait_until, wake
from tests.scheduler.examples import make_app


@pytest.fixture
def start() -> Iterator[Callable[[Celery], Publisher]]:
    """Start the publisher of an app, and wait until it is ready."""
    started: list[Publisher] = []

    def start_with(app: Celery, *, ready: bool = True) -> Publisher:
        publisher = Publisher(app, wake=wake)
        started.append(publisher)
        publisher.start()
        if ready:
            wait_until(lambda: publisher.is_ready)
        return publisher

    yield start_with
    for publisher in started:
        publisher.close(0)
        assert not publisher.is_alive()


@pytest.fixture
def queue(rabbitmq_url: str) -> Iterator[str]:
    """The name of a queue; it and queues whose names start with it are deleted after the test."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    with Connection(rabbitmq_url) as connection:
        for suffix in ("", ".other", ".topic"):
            connection.default_channel.queue_delete(name + suffix)
            connection.default_channel.exchange_delete(name + suffix)


@pytest.fixture
def app(rabbitmq_url: str, queue: str) -> Celery:
    return make_app(rabbitmq_url, queue=queue)


@pytest.fixture
def proxy(rabbitmq_url: str) -> Iterator[Proxy]:
    parts = urlsplit(rabbitmq_url)
    with Proxy((parts.hostname or "", parts.port or 5672)) as proxy:
        yield proxy


@pytest.fixture
def proxied_app(proxy: Proxy, rabbitmq_url: str, queue: str) -> Celery:
    parts = urlsplit(rabbitmq_url)
    url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}")
    return make_app(url.geturl(), queue=queue)


@pytest.fixture
def short_timeouts(monkeypatch: Any) -> None:
    monkeypatch.setattr(rabbitmq_transport, "CONFIRM_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(publisher_module, "MIN_RECONNECT_DELAY", timedelta(seconds=0.1))
    monkeypatch.setattr(publisher_module, "POLL_SECONDS", 0.1)
