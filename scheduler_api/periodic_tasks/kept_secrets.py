"""Secrets that a request keeps: `***`, or a field left out, stands for the stored value.

A secret is kept only for its destination. Otherwise a caller that may not read a secret could send
it to a task or a host of their own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django_celery_beat.models import PeriodicTask

from scheduler_api.access.redaction import MASK, masked_pointers, redacted, restored
from scheduler_api.http.fields import read_json
from scheduler_api.http.problems import Mistake, join
from scheduler_api.outbound import http_request
from scheduler_api.outbound.address_guard import AddressRefused, parse_url

JSON_FIELDS: Mapping[str, type] = {"args": list, "kwargs": dict, "headers": dict}


@dataclass(kw_only=True)
class Restoration:
    """The values that a request stands for, as stored JSON, and its secrets."""

    texts: dict[str, str] = field(default_factory=dict)
    """The text of each sent field."""
    kept: set[str] = field(default_factory=set)
    """JSON pointers to the stored secrets that the request keeps."""
    mistakes: list[Mistake] = field(default_factory=list)
    """Stars that stand for no stored secret."""


def restore(
    sent: Mapping[str, Any], before: PeriodicTask, *, names: Iterable[str] = JSON_FIELDS
) -> Restoration:
    """Replace the stars in the sent ones of these fields by the secrets of a stored task."""
    found = Restoration()
    for name in sorted(names):
        pointer, stored = join("", name), getattr(before, name)
        known = read_json(stored, JSON_FIELDS[name])
        shown = sent.get(name, redacted(known))
        value = restored(shown, known)
        stars = set(masked_pointers(value, pointer))
        found.kept |= set(masked_pointers(shown, pointer)) - stars
        if name not in sent:
            continue
        text = json.dumps(value)
        is_unchanged = text == json.dumps(known)
        found.texts[name] = stored if is_unchanged else text
        if not is_unchanged:  # stars that another writer stored must not block other changes
            found.mistakes += [only_stars(each) for each in sorted(stars)]
    return found


def only_stars(pointer: str) -> Mistake:
    """Return the refusal of stars that stand for no stored secret."""
    return Mistake(
        pointer=pointer,
        code="redacted",
        detail=f'Send the value itself: "{MASK}" keeps only a secret that is stored under this '
        "name; in a list, only if the whole list is sent as it was read.",
    )


def misdirected_secrets(
    kept: Iterable[str], before: PeriodicTask, after: PeriodicTask
) -> Iterator[Mistake]:
    """Yield a mistake for each kept secret if the destination changes."""
    if destination_of(before) == destination_of(after):
        return
    for pointer in sorted(kept):
        yield Mistake(
            pointer=pointer,
            code="redacted",
            detail="A stored secret is kept only while the task, its exchange and routing key, "
            "and the scheme, host and port of http_request stay the same: send the value itself.",
        )


def destination_of(task: PeriodicTask) -> tuple[object, ...]:
    """Return what determines the receiver of the secrets of a task."""
    receiver = (task.task, task.exchange or None, task.routing_key or None)
    return (*receiver, *origin_of(task)) if task.task == http_request.TASK else receiver


def origin_of(task: PeriodicTask) -> tuple[object, ...]:
    """Return scheme, host and port of an http_request; its whole arguments if they have none."""
    args, kwargs = read_json(task.args, list), read_json(task.kwargs, dict)
    url = (kwargs or {}).get("url", args[0] if args else None)
    try:
        parsed = parse_url(str(url))
    except AddressRefused:
        return (task.args, task.kwargs)
    return (parsed.scheme, parsed.host.lower(), parsed.port)
