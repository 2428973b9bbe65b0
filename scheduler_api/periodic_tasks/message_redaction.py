"""Redaction of secrets in messages, for logs, events and monitors."""

from typing import Any

from celery.app.amqp import AMQP
from celery.utils.saferepr import saferepr
from celery.worker.request import Request

from scheduler_api.access.redaction import redacted


def hide_secrets(body: object, headers: dict[str, object], **_: object) -> None:
    """Replace secrets by stars in the message headers `argsrepr` and `kwargsrepr`.

    Celery's AMQP.as_task_v2 writes the arguments there unredacted, and the worker's log, the
    events and monitors such as Flower show them. The task gets its arguments from the body, which
    stays. This is a receiver of the signal before_task_publish, because every message passes it,
    whether beat, a retry or a program sends it.
    """
    match body:
        case (args, kwargs, _):
            if redacted(args) != args:
                headers["argsrepr"] = saferepr(redacted(args), AMQP.argsrepr_maxsize)
            if redacted(kwargs) != kwargs:
                headers["kwargsrepr"] = saferepr(redacted(kwargs), AMQP.kwargsrepr_maxsize)


class RedactedRequest(Request):
    """A task request of a worker, with secrets hidden in its info.

    `celery inspect active`, `reserved`, `scheduled` and `query_task` answer with Celery's
    Request.info, and monitors such as Flower show it: upstream, it has the arguments unredacted.
    """

    def info(self, safe: bool = False) -> Any:
        """Return the info with stars for secrets."""
        info = super().info(safe=safe)
        return {**info, "args": redacted(info["args"]), "kwargs": redacted(info["kwargs"])}
