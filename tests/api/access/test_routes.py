"""A limited account and a task without a queue: Celery's configuration decides on its queue."""

from typing import Any

import pytest
from celery import current_app
from celery.app import routes as celery_routes

from scheduler_api.catalogue import routes
from tests.api.access.callers import service
from tests.api.periodic_tasks.examples import TASKS, heartbeat, mistakes

pytestmark = pytest.mark.django_db


def nowhere(*_: Any, **__: Any) -> None:
    """A router that may depend on the arguments."""


@pytest.fixture
def route(monkeypatch: Any, settings: Any) -> Any:
    """Route tasks by a value of `task_routes`."""
    settings.QUEUES = ["celery", "billing"]
    monkeypatch.setitem(current_app.amqp.queues, "billing", current_app.amqp.queues["celery"])
    router = current_app.amqp.router

    def route_by(task_routes: Any) -> None:
        monkeypatch.setattr(router, "routes", celery_routes.prepare(task_routes))
        routes._route_of.cache_clear()

    yield route_by
    routes._route_of.cache_clear()


@pytest.mark.parametrize(
    ("task_routes", "is_allowed"),
    [
        (None, True),
        ({"project.tasks.*": "celery"}, True),
        ({"other.*": {"exchange": "amq.direct"}}, True),
        ({"project.*": {"exchange": "amq.direct", "routing_key": "billing"}}, False),
        ({"project.*": {"queue": "celery", "routing_key": "billing"}}, False),
        ({"project.*": "missing"}, False),
        ("tests.api.access.test_routes.nowhere", False),
    ],
    ids=str,
)
def test_account_may_use_a_route_that_is_known_to_lead_to_its_queue(
    route, task_routes, is_allowed
):
    limited = service("limited", queues=["celery"])
    route(task_routes)

    created = limited.post(TASKS, heartbeat())

    if is_allowed:
        assert created.status_code == 201
    else:
        assert mistakes(created) == [("/queue", "not_allowed")]
        assert limited.post(TASKS, heartbeat(queue="celery")).status_code == 201
