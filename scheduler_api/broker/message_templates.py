"""Messages from templates: the message that Celery wrote for one run, with fields of another."""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from celery import Celery

from scheduler_api.broker.capture import Message, Unsendable, capture
from scheduler_api.broker.message_arguments import Argument, ArgumentReader
from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.broker.template_eligibility import has_listeners, is_templatable
from scheduler_api.periodic_tasks.message_headers import RESERVED_HEADERS

MAX_TEMPLATES = 4096
EMBED = b', {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
# `headers`, `expires` and `expiration` of MessageFields.
RowOptions: TypeAlias = tuple[str, str | None, str | None]
NO_ROW_OPTIONS: RowOptions = ("", None, None)


class MessageFields(NamedTuple):
    """The values in which a run's message differs from others of its template.

    `headers` are those of the periodic task as a JSON object, or "". `expires` is ISO 8601 and
    `expiration` whole milliseconds; both are None if the message does not expire.
    """

    id: str
    name: str
    body: bytes
    argsrepr: str
    kwargsrepr: str
    headers: str
    expires: str | None
    expiration: str | None


class MessageTemplate:
    """The common part of all messages of one task with the same options.

    Headers and expiry are not part of it.
    """

    __slots__ = ("check", "expires", "message")

    def __init__(
        self, message: Message, *, check: Callable[..., object] | None, expires: bool
    ) -> None:
        """`check` raises TypeError for arguments that do not fit, as Task.apply_async does.

        `message` has no headers of a periodic task but those of beat, which are the last.
        """
        self.message = message
        self.check = check
        self.expires = expires

    def fill(self, fields: MessageFields) -> Message:
        """Return the whole message, without `content`: there are no listeners to read it."""
        id_, name, body, argsrepr, kwargsrepr, row_headers, expires, expiration = fields
        headers = {
            **self.message.headers,
            "id": id_,
            "root_id": id_,
            "argsrepr": argsrepr,
            "kwargsrepr": kwargsrepr,
        }
        del headers["periodic_task_name"]
        is_beat = headers.pop("celery_beat_task")
        headers |= json.loads(row_headers) if row_headers else {}
        headers |= {"periodic_task_name": name, "celery_beat_task": is_beat}
        properties = {**self.message.properties, "correlation_id": id_}
        if self.expires:
            headers["expires"] = expires
            properties["expiration"] = expiration
        return replace(
            self.message, body=body, headers=headers, properties=properties, content=None
        )


class MessageTemplates:
    """The templates of an app. For one thread: Celery writes the thread into `reply_to`."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._arguments = ArgumentReader(app)
        self._known: OrderedDict[tuple[str, str], MessageTemplate | None] = OrderedDict()

    def has_listeners(self) -> bool:
        """Return whether messages have listeners, which only Celery can serve; call it per batch.

        Without listeners, the messages may come from templates. Also drops what a change of the
        settings makes stale.
        """
        if self._arguments.refresh():
            self._known.clear()
        return has_listeners(self._app)

    def find(self, run: Outgoing) -> tuple[MessageTemplate, MessageFields] | None:
        """Return the template and the fields of a run; None if only Celery can write its message.

        Raises Unsendable.
        """
        options = run.options
        row_options: RowOptions | None = NO_ROW_OPTIONS
        if '"headers"' in options or '"expires"' in options:
            options, row_options = split_options(options)
        arguments = self._arguments.read(run)
        if arguments is None or row_options is None:
            return None
        key = run.task, options
        try:
            template = self._known[key]
            self._known.move_to_end(key)
        except KeyError:
            template = self._known[key] = self._make(run, arguments, row_options)
            if len(self._known) > MAX_TEMPLATES:
                self._known.popitem(last=False)
        if template is None:
            return None
        if template.check is not None:
            args, kwargs = arguments
            try:
                template.check(*args.value, **kwargs.value)
            except TypeError as error:
                raise Unsendable(f"Celery cannot send it: TypeError: {error}") from error
        return template, fields_of(run, arguments, row_options)

    def _make(
        self, run: Outgoing, arguments: tuple[Argument, Argument], row_options: RowOptions
    ) -> MessageTemplate | None:
        """Capture a run's message, and return its template if that gives the same message."""
        task = self._app.tasks.get(run.task)
        if not is_templatable(self._app, task):
            return None
        message = capture(self._app, run)
        row_headers, expires, _ = row_options
        if not expires and message.headers["expires"] is not None:
            return None  # the task's class sets `expires`, relative to now
        common = {**message.headers}
        for name in json.loads(row_headers or "{}"):
            common.pop(name, None)
        # A task of a class has no check of its arguments.
        check = getattr(task, "__header__", None) if task and task.typing else None
        template = MessageTemplate(
            replace(message, headers=common), check=check, expires=expires is not None
        )
        filled = template.fill(fields_of(run, arguments, row_options))
        return template if is_equivalent(filled, message) else None


def fields_of(
    run: Outgoing, arguments: tuple[Argument, Argument], row_options: RowOptions
) -> MessageFields:
    args, kwargs = arguments
    body = b"[%b, %b%b" % (args.json, kwargs.json, EMBED)
    return MessageFields(
        run.id, run.periodic_task_name, body, args.repr, kwargs.repr, *row_options
    )


def split_options(options: str) -> tuple[str, RowOptions | None]:
    """Split options into the part that a template is made for, and the part of one row.

    The second is None if a header could replace one of Celery's own.
    """
    read = json.loads(options)
    headers, expires = read.pop("headers", {}), read.pop("expires", None)
    rest = json.dumps(read)
    if not RESERVED_HEADERS.isdisjoint(headers):
        return rest, None
    headers_text = json.dumps(headers) if headers else ""
    if expires is None:
        return rest, (headers_text, None, None)
    try:
        left = datetime.fromisoformat(expires) - datetime.now(UTC)
    except (TypeError, ValueError) as error:
        raise Unsendable("Its expires is not an ISO 8601 time with an offset.") from error
    expiration = str(int(max(left.total_seconds(), 0) * 1000))
    # Messages that expire have a template of their own.
    return f"expires {rest}", (headers_text, expires, expiration)


def is_equivalent(ours: Message, theirs: Message) -> bool:
    """Return whether two messages are the same to a broker and a worker.

    `expiration` is not compared: it depends on the current time.
    """

    def parts(message: Message) -> list[Any]:
        properties = {**message.properties}
        properties.pop("expiration", None)
        return [
            list(message.headers.items()),
            properties,
            message.body,
            message.content_type,
            message.content_encoding,
        ]

    return parts(ours) == parts(theirs)
