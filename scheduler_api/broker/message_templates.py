"""Messages from templates: what Celery wrote for one run, with the words of another."""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from celery import Celery
from django.conf import settings

from scheduler_api.access.redaction import is_secret, redacted
from scheduler_api.broker.argument_reprs import short_repr
from scheduler_api.broker.capture import Message, Unsendable, capture
from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.broker.template_eligibility import has_listeners, hides_secrets, is_templatable
from scheduler_api.periodic_tasks.validation import HEADER_NAME

MAX_TEMPLATES = 4096
MAX_ARGUMENTS = 8192
MAX_CACHED_LENGTH = 1024  # characters: arguments that are longer are hardly the same for many runs
DEFAULT_MAX_LEVELS = 3
EMBED = b', {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
# `headers`, `expires` and `expiration` of MessageFields.
RowOptions: TypeAlias = tuple[tuple[tuple[str, str], ...], str | None, str | None]
NO_ROW_OPTIONS: RowOptions = ((), None, None)


class Argument(NamedTuple):
    """`args` or `kwargs`: as read, as Celery's JSON, and as text with stars for secrets."""

    value: Any
    json: bytes
    repr: str


class MessageFields(NamedTuple):
    """In what a run's message differs from others of its template.

    `headers` are those of the row. `expires` is ISO 8601, `expiration` whole milliseconds; None
    where it does not expire.
    """

    id: str
    name: str
    body: bytes
    argsrepr: str
    kwargsrepr: str
    headers: tuple[tuple[str, str], ...]
    expires: str | None
    expiration: str | None


class MessageTemplate:
    """The message of all runs of one task with the same options, but for headers and expiry."""

    __slots__ = ("check", "expires", "message")

    def __init__(
        self, message: Message, *, check: Callable[..., object] | None, expires: bool
    ) -> None:
        """`check` raises TypeError for arguments that do not fit, as Task.apply_async does.

        `message` has no headers of a row but those of beat: they are the last.
        """
        self.message = message
        self.check = check
        self.expires = expires

    def fill(self, words: MessageFields) -> Message:
        """Return the whole message: `content` is left out, for nobody listens."""
        id_, name, body, argsrepr, kwargsrepr, own_headers, expires, expiration = words
        headers = {
            **self.message.headers,
            "id": id_,
            "root_id": id_,
            "argsrepr": argsrepr,
            "kwargsrepr": kwargsrepr,
        }
        del headers["periodic_task_name"]
        is_beat = headers.pop("celery_beat_task")
        headers |= {**dict(own_headers), "periodic_task_name": name, "celery_beat_task": is_beat}
        properties = {**self.message.properties, "correlation_id": id_}
        if self.expires:
            headers["expires"] = expires
            properties["expiration"] = expiration
        return replace(
            self.message, body=body, headers=headers, properties=properties, content=None
        )


class MessageTemplates:
    """The templates of an app. For one thread: Celery names the thread in `reply_to`."""

    def __init__(self, app: Celery) -> None:
        amqp = app.amqp
        self._app = app
        self._max_levels: int = app.conf.task_repr_maxlevels
        self._max_lengths: dict[type, int] = {
            list: amqp.argsrepr_maxsize,
            dict: amqp.kwargsrepr_maxsize,
        }
        self._known: OrderedDict[tuple[str, str], MessageTemplate | None] = OrderedDict()
        self._argument = lru_cache(MAX_ARGUMENTS)(self._read)
        self._redacted_names: tuple[str, ...] | None = None

    def has_listeners(self) -> bool:
        """Tell whether somebody listens to what is sent: only Celery can tell them.

        To be asked before each batch.
        """
        hidden = tuple(settings.REDACTED_KWARGS) if hides_secrets() else None
        if hidden != self._redacted_names:
            self._redacted_names = hidden
            self._argument.cache_clear()
            self._known.clear()
        return has_listeners(self._app)

    def of(self, run: Outgoing) -> tuple[MessageTemplate, MessageFields] | None:
        """Return template and words of a run; None where only Celery can write its message.

        Raises Unsendable.
        """
        options = run.options
        row_options: RowOptions | None = NO_ROW_OPTIONS
        if '"headers"' in options or '"expires"' in options:
            options, row_options = split(options)
        arguments = self._arguments(run)
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

    def _arguments(self, run: Outgoing) -> tuple[Argument, Argument] | None:
        text = run.args
        args = (
            self._argument(text, list) if len(text) < MAX_CACHED_LENGTH else self._read(text, list)
        )
        text = run.kwargs
        kwargs = (
            self._argument(text, dict) if len(text) < MAX_CACHED_LENGTH else self._read(text, dict)
        )
        return None if args is None or kwargs is None else (args, kwargs)

    def _read(self, text: str, kind: type) -> Argument | None:
        """Read arguments; None where they are not of this kind, or Celery reads more in them."""
        try:
            value = json.loads(text) if text else kind()
            encoded = json.dumps(value).encode()
        except (ValueError, RecursionError):
            return None
        if type(value) is not kind or b"__type__" in encoded:
            return None
        told = value
        if (
            self._redacted_names
            and b"{" in encoded
            and may_hold_secrets(value, encoded, self._redacted_names)
        ):
            told = redacted(value)
        # hide_secrets() has no max_levels: it takes Celery's default.
        max_levels = self._max_levels if told == value else DEFAULT_MAX_LEVELS
        return Argument(
            value,
            encoded,
            # Celery writes no arguments as an empty tuple.
            short_repr(
                told or (() if kind is list else {}),
                max_length=self._max_lengths[kind],
                max_levels=max_levels,
            ),
        )

    def _make(
        self, run: Outgoing, arguments: tuple[Argument, Argument], row_options: RowOptions
    ) -> MessageTemplate | None:
        """Let Celery write the message of a run, and see whether a template gives the same."""
        task = self._app.tasks.get(run.task)
        if not is_templatable(self._app, task):
            return None
        message = capture(self._app, run)
        own_headers, expires, _ = row_options
        if not expires and message.headers["expires"] is not None:
            return None  # the task class says after how many seconds
        common = {**message.headers}
        for name, _ in own_headers:
            common.pop(name, None)
        check = task.__header__ if task and task.typing else None  # type: ignore[attr-defined]
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


def split(options: str) -> tuple[str, RowOptions | None]:
    """Return options without what differs between rows, and that.

    None where a header could stand for one of Celery's own.
    """
    read = json.loads(options)
    headers, expires = read.pop("headers", {}), read.pop("expires", None)
    rest = json.dumps(read)
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or type(value) is not str:
            return rest, None
    if expires is None:
        return rest, (tuple(headers.items()), None, None)
    try:
        left = datetime.fromisoformat(expires) - datetime.now(UTC)
    except (TypeError, ValueError) as error:
        raise Unsendable("Its expires is not a moment with an offset, as ISO 8601.") from error
    expiration = str(int(max(left.total_seconds(), 0) * 1000))
    # What expires has a template of its own.
    return f"expires {rest}", (tuple(headers.items()), expires, expiration)


def is_equivalent(ours: Message, theirs: Message) -> bool:
    """Tell whether two messages are the same to a broker and a worker, but for the moment."""

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


def may_hold_secrets(value: Any, encoded: bytes, patterns: tuple[str, ...]) -> bool:
    """Tell, soon, whether arguments can have a secret: by the names of a flat object."""
    is_flat = type(value) is dict and encoded.count(b"{") == 1
    return not is_flat or _has_secret(tuple(value), patterns)


@lru_cache(4096)
def _has_secret(names: tuple[str, ...], _patterns: tuple[str, ...]) -> bool:
    return any(map(is_secret, names))
