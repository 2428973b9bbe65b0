"""The arguments of a run, encoded as Celery encodes them, with caches for repeated ones."""

import json
from functools import lru_cache
from typing import Any, NamedTuple

from celery import Celery
from django.conf import settings

from scheduler_api.access.redaction import redacted
from scheduler_api.access.secret_names import is_secret
from scheduler_api.broker.argument_reprs import short_repr
from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.broker.template_eligibility import hides_secrets

MAX_CACHED_ARGUMENTS = 8192
# Longer arguments, in characters, are hardly the same for many runs.
MAX_CACHED_LENGTH = 1024
DEFAULT_MAX_LEVELS = 3


class Argument(NamedTuple):
    """`args` or `kwargs`: the value, Celery's JSON of it, and its text without secrets."""

    value: Any
    json: bytes
    repr: str


class ArgumentReader:
    """Reads the arguments of runs."""

    def __init__(self, app: Celery) -> None:
        amqp = app.amqp
        self._max_levels: int = app.conf.task_repr_maxlevels
        self._max_lengths: dict[type, int] = {
            list: amqp.argsrepr_maxsize,
            dict: amqp.kwargsrepr_maxsize,
        }
        self._read_cached = lru_cache(MAX_CACHED_ARGUMENTS)(self._read)
        self._redacted_names: tuple[str, ...] | None = None

    def refresh(self) -> bool:
        """Read the settings of redaction again; return whether they have changed."""
        names = tuple(settings.REDACTED_KWARGS) if hides_secrets() else None
        if names == self._redacted_names:
            return False
        self._redacted_names = names
        self._read_cached.cache_clear()
        return True

    def read(self, run: Outgoing) -> tuple[Argument, Argument] | None:
        """Return args and kwargs; None for arguments that only Celery can encode."""
        text = run.args
        is_short = len(text) < MAX_CACHED_LENGTH
        args = self._read_cached(text, list) if is_short else self._read(text, list)
        text = run.kwargs
        is_short = len(text) < MAX_CACHED_LENGTH
        kwargs = self._read_cached(text, dict) if is_short else self._read(text, dict)
        return None if args is None or kwargs is None else (args, kwargs)

    def _read(self, text: str, kind: type) -> Argument | None:
        """Read JSON; None if it is not of this kind, or has a value that kombu would convert."""
        try:
            value = json.loads(text) if text else kind()
            encoded = json.dumps(value).encode()
        except (ValueError, RecursionError):
            return None
        if type(value) is not kind or b"__type__" in encoded:
            return None
        shown = value
        names = self._redacted_names
        if names is not None and may_hold_secrets(value, encoded, names):
            shown = redacted(value)
        # hide_secrets() passes no max_levels, so that Celery's default applies.
        max_levels = self._max_levels if shown == value else DEFAULT_MAX_LEVELS
        return Argument(
            value,
            encoded,
            # Celery writes empty arguments as an empty tuple.
            short_repr(
                shown or (() if kind is list else {}),
                max_length=self._max_lengths[kind],
                max_levels=max_levels,
            ),
        )


def may_hold_secrets(value: Any, encoded: bytes, patterns: tuple[str, ...]) -> bool:
    """Return whether arguments may contain a secret; exact and cached only for a flat object."""
    if b"://" in encoded or b"=" in encoded:
        return True
    is_flat = type(value) is dict and encoded.count(b"{") == 1
    return _has_secret(tuple(value), patterns) if is_flat else b"{" in encoded


@lru_cache(4096)
def _has_secret(names: tuple[str, ...], _patterns: tuple[str, ...]) -> bool:
    return any(map(is_secret, names))
