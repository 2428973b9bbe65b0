"""Runs to publish, and Celery apps with their tasks."""

import json
import uuid
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from scheduler_api.broker.outgoing import Outgoing


def outgoing(task: str = "add", *args: Any, **parts: Any) -> Outgoing:
    """Return a run; `options` is an object, all else as in Outgoing."""
    options = json.dumps(parts.pop("options", {}))
    run = {
        "id": str(uuid.uuid4()),
        "periodic_task_name": "Example",
        "task": task,
        "args": json.dumps(args),
        "kwargs": "{}",
        "options": options,
    }
    return Outgoing(**{**run, **parts})


def make_app(broker_url: str = "memory://", *, queue: str = "celery", **conf: Any) -> Celery:
    """Return a new app with a few tasks and `queue` as its default queue."""
    app = Celery("example", set_as_current=False, broker=broker_url)
    app.conf.update(
        task_queues=[
            Queue(queue, Exchange(queue), routing_key=queue),
            Queue(f"{queue}.other", Exchange(queue), routing_key=f"{queue}.other"),
            Queue(f"{queue}.topic", Exchange(f"{queue}.topic", type="topic"), routing_key="a.#"),
        ],
        task_default_queue=queue,
        task_create_missing_queues=False,
        task_ignore_result=True,
        broker_connection_timeout=3,
    )
    app.conf.update(conf)

    @app.task(name="add", shared=False)
    def add(x: Any, y: Any = 0) -> None: ...

    @app.task(name="any", shared=False, typing=False)
    def anything(*args: Any, **kwargs: Any) -> None: ...

    @app.task(
        name="limited",
        shared=False,
        typing=False,
        time_limit=60,
        soft_time_limit=50,
        ignore_result=False,
    )
    def limited(*args: Any, **kwargs: Any) -> None: ...

    app.finalize()
    return app


def name_of(run: Outgoing) -> str:
    """Name a test case without ids and times, which differ between test processes."""
    return f"{run.task} {run.args} {run.options[:24]}"[:100]
