"""Checks the stored arguments of a call: rows may be written past the API, and signatures change.

The arguments are not compared with the hints of the function, only with its parameters: Python and
Celery send a value of another type, and the function may take it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from kombu.utils.json import loads

from scheduler_api.catalogue.arguments import check_arguments
from scheduler_api.catalogue.registry import get_task, is_registered, refusal_of_call
from scheduler_api.catalogue.task_lookup import announced_names, announced_signature
from scheduler_api.http.fields import read_json

MAX_CACHED_LENGTH = 1024  # characters


def problem_with_call(task: str, args: str | None, kwargs: str | None) -> str:
    """Return why a stored call cannot be sent and how to correct it; "" if it can.

    The text contains no value of an argument.
    """
    seen_at = None if is_registered(task) else announced_names.binding_since(task)
    if len(args or "") + len(kwargs or "") < MAX_CACHED_LENGTH:
        return _problem_with_short_call(task, args, kwargs, seen_at)
    return _problem_with_call(task, args, kwargs, seen_at)


def _problem_with_call(
    task: str, args_text: str | None, kwargs_text: str | None, seen_at: datetime | None
) -> str:
    args, kwargs = read_json(args_text, list), read_json(kwargs_text, dict)
    if args is None:
        return "args is not a JSON array: write one."
    if kwargs is None:
        return "kwargs is not a JSON object: write one."
    if problem := _problem_with_types(args_text, kwargs_text):
        return problem
    mistakes = list(_unbound(task, args, kwargs, seen_at))
    if is_registered(task):
        refusal = refusal_of_call(task, args, kwargs)
        # Celery's check decides, and ours explains it better.
        return refusal and (mistakes[0] if mistakes else f"Celery cannot send it: {refusal}.")
    return mistakes[0] if mistakes else ""


# Most rows are sent over and over with the same arguments.
_problem_with_short_call = lru_cache(8192)(_problem_with_call)


def _problem_with_types(*texts: str | None) -> str:
    """Return why Celery cannot read a value with its tags of types, which other texts lack."""
    for name, text in zip(("args", "kwargs"), texts, strict=True):
        if text and "__type__" in text:
            try:
                loads(text)
            except Exception:  # noqa: BLE001 - the decoder of a type may raise anything
                return f'{name} has a {{"__type__": …}} that Celery cannot read: correct it.'
    return ""


def _unbound(
    task: str, args: Sequence[Any], kwargs: Mapping[str, Any], seen_at: datetime | None
) -> Iterator[str]:
    """Yield how arguments do not bind to the parameters of the task, if its signature is known."""
    known = get_task(task)
    signature = known.signature if known else seen_at and announced_signature(task, seen_at)
    for error in check_arguments(signature, args, kwargs) if signature else ():
        if error.code != "invalid_argument":
            yield f"{error.pointer.lstrip('/')}: {error.detail}."
