"""Captures the message that Celery itself would send for a run, before it leaves the process."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from celery import Celery, signals
from celery.exceptions import CeleryError
from celery.result import denied_join_result
from kombu import Producer
from kombu.utils.json import loads

from scheduler_api.broker.outgoing import Outgoing


class Unsendable(Exception):
    """The run can never be made into a message; the reason contains no argument's value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message for the broker, with the headers and properties of AMQP in Celery's order.

    `declare` has the queues that Celery would declare before it publishes. `content` is the object
    that `body` was serialized from, for receivers of the signal after_task_publish.
    """

    task: str
    exchange: str
    routing_key: str
    body: bytes
    content_type: str
    content_encoding: str
    priority: int | None
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    declare: tuple[Any, ...]
    content: Any


class _Captured(Exception):
    def __init__(self, **parts: Any) -> None:
        super().__init__()
        self.parts = parts


class _CapturingProducer(Producer):
    """A producer without a channel, which raises each message in the place of publishing it.

    Overrides kombu's Producer._publish, the last step before a channel. The exception keeps Celery
    from sending after_task_publish and the event task-sent: nothing has been published yet.
    """

    def __init__(self, app: Celery) -> None:
        super().__init__(None, auto_declare=False)  # type: ignore[arg-type]
        # Never opened: Celery reads the connection's error classes.
        self.__connection__ = app.connection_for_write()  # type: ignore[misc]

    def publish(self, body: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().publish(body, *args, **kwargs)
        except _Captured as captured:
            captured.parts["content"] = body
            raise

    def _publish(  # type: ignore[override]  # noqa: PLR0917 - as upstream
        self,
        body: bytes | str,
        priority: int | None,
        content_type: str,
        content_encoding: str,
        headers: Mapping[str, Any],
        properties: Mapping[str, Any],
        routing_key: str,
        mandatory: bool,
        immediate: bool,
        exchange: str,
        declare: Any,
        *_: Any,
    ) -> NoReturn:
        raise _Captured(
            exchange=exchange or "",
            routing_key=routing_key or "",
            body=body.encode() if isinstance(body, str) else body,
            content_type=content_type,
            content_encoding=content_encoding,
            priority=priority,
            headers=headers,
            properties=properties,
            declare=tuple(declare or ()),
        )


@cache
def _capturing_producer(app: Celery) -> _CapturingProducer:
    return _CapturingProducer(app)


def capture(app: Celery, run: Outgoing) -> Message:
    """Return the message of a run, or raise Unsendable.

    Nothing leaves this process. Receivers of before_task_publish are called.
    """
    try:
        # As in a worker: the result backend must not subscribe to a result that nobody reads.
        with denied_join_result():
            send(app, run, producer=_capturing_producer(app), retry=False)
    except _Captured as captured:
        return Message(task=run.task, **captured.parts)
    except Unsendable:
        raise
    except Exception as error:
        raise Unsendable(refusal_reason(error)) from error
    raise Unsendable("Celery did not send it: is task_always_eager on?")


def refusal_reason(error: Exception) -> str:
    """Return why Celery cannot send a run, as a sentence.

    Only Celery's errors and TypeError are quoted: the text of others may contain a secret.
    """
    detail = f": {error}" if isinstance(error, TypeError | CeleryError) else ""
    return f"Celery cannot send it: {type(error).__name__}{detail}"


def send(app: Celery, run: Outgoing, **more: Any) -> None:
    """Send a run with Celery, as stock beat does; raises any error that Celery or the task raises.

    The options are those of django_celery_beat.schedulers.ModelEntry, and the header
    `celery_beat_task` is that of celery.beat.Scheduler.apply_async.
    """
    if app.conf.task_always_eager:
        raise Unsendable("CELERY_TASK_ALWAYS_EAGER is on: beat would run the task itself.")
    args, kwargs, options = (
        loads(run.args or "[]"),
        loads(run.kwargs or "{}"),
        json.loads(run.options),
    )
    headers = {
        **options.pop("headers", {}),
        "periodic_task_name": run.periodic_task_name,
        "celery_beat_task": True,
    }
    options |= {"headers": headers, "task_id": run.id, **more}
    task = app.tasks.get(run.task)
    if task is None:
        app.send_task(run.task, args, kwargs, **options)
    else:
        task.apply_async(args, kwargs, **options)


def send_publish_signals(app: Celery, message: Message) -> None:
    """Send the signal after_task_publish and, where Celery is set to, the event task-sent.

    Does the part of celery.app.amqp.AMQP.send_task_message that follows its publish(). Call it
    when the broker has confirmed the message.
    """
    headers = message.headers
    signals.after_task_publish.send(
        sender=message.task,
        body=message.content,
        headers=headers,
        exchange=message.exchange,
        routing_key=message.routing_key,
    )
    if app.conf.task_send_sent_event:
        with app.producer_or_acquire(None) as producer:
            dispatcher = app.amqp._event_dispatcher  # type: ignore[attr-defined]
            dispatcher.publish("task-sent", sent_event(message), producer)


def sent_event(message: Message) -> dict[str, Any]:
    """Return the fields of the event task-sent."""
    headers = message.headers
    same = ("root_id", "parent_id", "retries", "eta", "expires")
    return {
        "uuid": headers["id"],
        "name": message.task,
        "args": headers["argsrepr"],
        "kwargs": headers["kwargsrepr"],
        **{name: headers[name] for name in same},
        "queue": next((entity.name for entity in message.declare), None),
        "exchange": message.exchange,
        "routing_key": message.routing_key,
    }
