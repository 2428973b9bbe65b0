"""The route of a task by Celery's own configuration: its queue, and why it may have none."""

from functools import lru_cache
from typing import Any, NamedTuple

from celery import Celery
from celery.app import app_or_default
from celery.app.routes import MapRoute

from scheduler_api.catalogue.registry import is_registered

ROUTING = ("queue", "exchange", "routing_key")


class Route(NamedTuple):
    """The queue of a message, None if it is not known; and why Celery finds no route, or ""."""

    queue: str | None
    problem: str = ""


def route_of(
    task: str,
    queue: str | None = None,
    exchange: str | None = None,
    routing_key: str | None = None,
    *,
    app: Celery | None = None,
) -> Route:
    """Return the route of a task, as Task.apply_async takes it for these options.

    The options of the task's class and `task_routes` apply, and `task_default_queue` without
    them. The queue is not known if the route depends on the arguments, or names an exchange or a
    routing key, by which RabbitMQ may find any queue.
    """
    app = app_or_default(app)
    is_registered(task, app)  # imports the tasks, whose classes may have routes
    return _route_of(app, task, queue, exchange, routing_key)


@lru_cache(4096)
def _route_of(app: Celery, task: str, *asked: str | None) -> Route:
    routers = app.amqp.router.routes  # type: ignore[attr-defined]
    if not all(isinstance(router, MapRoute) for router in routers):
        return Route(None)
    known: Any = app.tasks.get(task)
    own = known._get_exec_options() if known else {}
    options = {name: own[name] for name in ROUTING if name in own}
    # An empty text takes the place of the option of the class, and names nothing.
    given = zip(ROUTING, asked, strict=True)
    options |= {name: value for name, value in given if value is not None}
    try:
        taken: dict[str, Any] = app.amqp.router.route(options, task, task_type=known)
    except Exception as error:  # noqa: BLE001 - a route of the project may be wrong in any way
        return Route(None, f"Celery finds no route: {' '.join(str(error).split())}.")
    if taken.get("exchange") or taken.get("routing_key") or not taken.get("queue"):
        return Route(None)
    return Route(str(taken["queue"].name))
