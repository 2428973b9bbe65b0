"""Differences between a queue as it exists in RabbitMQ and as our settings declare it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<argument>[^']+)' for (?P<kind>queue|exchange) .*?"
    r"(?:: received (?P<ours>.+?) but current is (?P<there>.+))?$"
)
VALUE = re.compile(r"(?:the value )?'(?P<value>.*?)'(?: of type '.*')?")
NOT_SET = "not set"
CUT_OFF = "another value"  # RabbitMQ cuts a long text off
PRECONDITION_FAILED, RESOURCE_LOCKED = 406, 405


@dataclass(frozen=True, kw_only=True)
class QueueMismatch:
    """An argument of a queue or of its exchange, with its value there and in our settings.

    `argument` is empty if RabbitMQ refuses the declaration for another reason: `there` has it.
    `is_usable` says whether the queue can be used as it is.
    """

    queue: str
    argument: str
    there: str
    ours: str
    is_usable: bool = True

    def __str__(self) -> str:
        use = "It is used as it is." if self.is_usable else "No worker of ours can consume it."
        if not self.argument:
            return f"RabbitMQ refuses to declare the queue {self.queue!r}: {self.there} {use}"
        return (
            f"The queue {self.queue!r} exists with other arguments: {self.argument} is "
            f"{self.there} there, and {self.ours} in our settings. {use} {self.cure()}"
        )

    def cure(self) -> str:
        """Return what an operator can do."""
        migrate = f"stop beat and workers, and run: manage.py migrate_queue {self.queue}"
        if self.argument == "exclusive":
            return "Stop the program that declared it, or name another queue in QUEUES."
        if self.there == "stream":
            return "Name another queue in QUEUES: a stream is no queue of tasks."
        if self.argument == "x-max-priority":
            value = self.there if self.there.isdigit() else "0"
            return f"Set QUEUE_MAX_PRIORITY={value}; or {migrate}"
        return f"To give it our arguments, {migrate}"

    def as_json(self) -> dict[str, object]:
        """Return the members, for a JSON column."""
        return asdict(self)


def mismatch_from(stored: Mapping[str, Any]) -> QueueMismatch:
    """Return the mismatch in a JSON column."""
    return QueueMismatch(**stored)


def mismatch_of(queue: str, *, code: int, text: str) -> QueueMismatch:
    """Return why RabbitMQ refused to declare a queue, from its channel.close."""
    if code == RESOURCE_LOCKED:
        return QueueMismatch(
            queue=queue, argument="exclusive", there="true", ours="false", is_usable=False
        )
    found = INEQUIVALENT.search(text)
    if code != PRECONDITION_FAILED or found is None:
        return QueueMismatch(queue=queue, argument="", there=f"{text.rstrip('.')}.", ours="")
    of_exchange = found["kind"] == "exchange"
    there = value_in(found["there"])
    return QueueMismatch(
        queue=queue,
        argument=f"{found['argument']} of its exchange" if of_exchange else found["argument"],
        there=there,
        ours=value_in(found["ours"]),
        # After each start, a consumer of a stream gets all its messages again.
        is_usable=not (found["argument"] == "x-queue-type" and there == "stream"),
    )


def value_in(text: str | None) -> str:
    """Return the value in a part of RabbitMQ's text."""
    if text is None:
        return CUT_OFF
    if text == "none":
        return NOT_SET
    found = VALUE.fullmatch(text)
    return found["value"] if found else text
