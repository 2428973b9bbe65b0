"""What a message tells of its arguments to those who only look on."""

from typing import Any

from celery.app.amqp import AMQP
from celery.utils.saferepr import saferepr
from celery.worker.request import Request

from scheduler_api.access.redaction import redacted


def hide_secrets(body: object, headers: dict[str, object], **_: object) -> None:
    """Write the arguments into a message's headers with stars for the secrets.

    Celery's AMQP.as_task_v2 has put them there as they are: in `argsrepr` and `kwargsrepr`,
    from which the worker's log, the events and monitors such as Flower tell them. The task gets
    its arguments from the body. A receiver of the signal before_task_publish, since that is
    where every message passes that beat, a retry or a program sends.
    """
    match body:
        case (args, kwargs, _):
            if redacted(args) != args:
                headers["argsrepr"] = saferepr(redacted(args), AMQP.argsrepr_maxsize)
            if redacted(kwargs) != kwargs:
                headers["kwargsrepr"] = saferepr(redacted(kwargs), AMQP.kwargsrepr_maxsize)


class RedactedRequest(Request):
    """A task that a worker has taken, and of which it tells no secret.

    Celery's Request.info is what `celery inspect active`, `reserved`, `scheduled` and `query_task`
    answer with, and what monitors such as Flower show: it has the arguments as they are.
    """

    def info(self, safe: bool = False) -> Any:
        """Return what is told, with stars for the secrets."""
        told = super().info(safe=safe)
        return {**told, "args": redacted(told["args"]), "kwargs": redacted(told["kwargs"])}
