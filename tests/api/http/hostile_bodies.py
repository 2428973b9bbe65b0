"""The largest bodies, legal and illegal, for each operation.

The tests count what they cause; benchmarks/bounds.py measures CPU seconds and memory.
"""

import json
from collections.abc import Iterator
from typing import Any

from scheduler_api.http.parsing import MAX_NODES
from scheduler_api.manifest.serializers import MAX_ENTRIES
from scheduler_api.periodic_tasks.batch_serializers import MAX_OPERATIONS
from tests.api.periodic_tasks.examples import heartbeat

JSON, YAML = "application/json", "application/yaml"
BATCH, MANIFEST = "batchPeriodicTask", "applyManifest"

MOST = {BATCH: MAX_OPERATIONS, MANIFEST: MAX_ENTRIES}


def fill(unit: str, size: int, *, start: str = "[", end: str = "]", separator: str = ",") -> bytes:
    """Return a document of at most `size` bytes that repeats a unit, which may have a number."""
    is_numbered = "%d" in unit
    room = size - len(start.encode()) - len(end.encode())
    if not is_numbered:
        count = room // len((unit + separator).encode())
        return (start + separator.join([unit] * count) + end).encode()
    # Numbers have seven digits at most.
    count = room // (len((unit + separator).encode()) + 5)
    return (start + separator.join(unit % number for number in range(count)) + end).encode()


def as_many_as_allowed(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield bodies with as many keys and values as a body may have, and no more."""
    room = min(size, 3 * MAX_NODES - 300)
    yield "most arrays", fill("[]", room)
    yield "most objects", fill("{}", room)
    yield "most texts", fill('""', room)
    room = min(size, MAX_NODES // 5 * 14)
    yield "most duplicate keys", fill('{"a":1,"a":1}', room)
    room = min(size, MAX_NODES // 3 * 11)
    yield "most unstorable texts", fill('{"\\u0000":1}', room)
    room = min(size, MAX_NODES // 2 * 15)
    yield "most unknown fields", fill('"f%d":1', room, start="{", end="}")


def illegal_json(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield bodies of at most `size` bytes that no operation accepts."""
    yield from as_many_as_allowed(size)
    yield "dense arrays", fill("[]", size)
    yield "dense objects", fill("{}", size)
    yield "dense numbers", fill("1", size)
    yield "dense texts", fill('""', size)
    yield "texts without commas", fill('""', size, separator="")
    yield "nested pairs", fill("[[],[]]", size)
    yield "duplicate keys", fill('{"a":1,"a":1}', size)
    yield "one object of duplicate keys", fill('"a":1', size, start="{", end="}")
    yield "deep arrays", b"[" * size
    yield "deep objects", b'{"a":' * (size // 5)
    yield "unknown fields", fill('"f%d":1', size, start="{", end="}")
    yield "a long text", fill("x", size, start='"', end='"', separator="")
    yield (
        "a long text of wide characters",
        fill("\U0001f600", size, start='"', end='"', separator=""),
    )
    yield "a long text of escapes", fill("\\u00e9", size, start='"', end='"', separator="")
    yield "a long text of quotes", fill('\\"', size, start='"', end='"', separator="")
    yield "a long key", fill("x", size, start='{"', end='":1}', separator="")
    yield "a long key of controls", fill("\x7f", size, start='{"', end='":1}', separator="")
    yield "a long number", b"9" * size
    yield "long numbers", fill("9" * 400, size)
    yield "long fractions", fill("0." + "9" * 1000, size)
    yield "unstorable texts", fill('"\\u0000"', size)
    yield "line breaks", b"\n" * size
    yield "quotes", b'"' * size
    yield "backslashes", b'"' + b"\\" * (size - 1)
    yield "no UTF-8", b"\xff" * size


def illegal_yaml(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield bodies of at most `size` bytes that are hard to parse as YAML."""
    yield from illegal_json(size)
    yield "comments", fill("#", size, start="", end="", separator="\n")
    yield "block sequences", fill("- ", size, start="", end="", separator="\n")
    yield "nested sequences on a line", b"- " * (size // 2)
    yield "keys on lines", fill("k%d:", size, start="", end="", separator="\n")
    yield "complex keys", b"? " * (size // 2)
    yield "a folded text", fill("x", size, start=">\n ", end="", separator="\n ")
    yield "a plain text of lines", fill("x", size, start="", end="", separator="\n")
    yield "anchors", fill("&a x", size)
    yield "a forbidden character at the end", b"\n" * (size - 1) + b"\x01"
    yield "question marks", b"?" * size
    yield "colons", b"a: " * (size // 3)


def illegal_batches(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield batches with as many operations, or as large ones, as fit."""
    most = MOST[BATCH]
    yield "too many operations", fill("[]", 790_000, start='{"operations":[', end="]}")
    yield "operations without a type", operations([{} for _ in range(most)])
    yield "unknown types", operations([{"op": "x" * 700} for _ in range(most)])
    fields = {f"field{number}": number for number in range(380)}
    for atomic in ("unknown fields of operations", "unknown fields of bodies"):
        body = {"op": "create", "body": {}, **(fields if "operations" in atomic else {})}
        if "bodies" in atomic:
            body["body"] = fields
        yield atomic, operations([body] * most)
    yield from (
        (name, operations([{"op": "create", "body": entry} for entry in entries]))
        for name, entries in illegal_entries(most, size)
    )
    yield (
        "updates of unknown tasks",
        operations([{"op": "update", "id": number + 10**6, "body": {}} for number in range(most)]),
    )


def illegal_manifests(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield manifests with as many entries, or as large ones, as fit."""
    for name, entries in illegal_entries(MOST[MANIFEST], size):
        yield name, manifest(entries)
    yield "too many entries", fill("1", 700_000, start='{"version":1,"periodic_tasks":[', end="]}")


def illegal_entries(most: int, size: int) -> Iterator[tuple[str, list[Any]]]:
    """Yield lists of bodies of periodic tasks that are refused for different reasons."""
    zone = {"type": "crontab", "expression": "0 3 * * *"}
    yield "empty bodies", [{} for _ in range(most)]
    yield (
        "unknown zones",
        [named(n, schedule={**zone, "timezone": f"Europe/Nowhere{n}"}) for n in range(most)],
    )
    yield "unknown tasks", [named(n, task=f"project.tasks.hartbeet{n}") for n in range(most)]
    yield "unknown queues", [named(n, queue=f"sellery{n}") for n in range(most)]
    yield (
        "wrong crontabs",
        [named(n, schedule={"type": "crontab", "minute": f"{n},x"}) for n in range(most)],
    )
    room = min(size // most - 200, 200_000 // most)
    yield (
        "unknown arguments",
        [named(n, kwargs={f"k{k}": k for k in range(room // 10)}) for n in range(most)],
    )
    yield "taken names", [named(0) for _ in range(most)]
    few = size // 200_000
    wide = {f"x{number}": 1 for number in range(4000)}
    yield "large arguments", [named(n, args=[[]] * 9000) for n in range(few)]
    yield "large labels", [named(n, labels=wide) for n in range(few)]
    yield "large unknown fields", [named(n, **wide) for n in range(few)]
    yield (
        "long texts",
        [named(n, description="x" * 180_000, task="y" * 10_000) for n in range(few)],
    )


def legal_bodies(operation: str, size: int) -> Iterator[tuple[str, bytes]]:
    """Yield the largest bodies that an operation on many rows accepts."""
    most = MOST[operation]
    wrap = (
        manifest
        if operation == MANIFEST
        else lambda tasks: operations([{"op": "create", "body": task} for task in tasks])
    )
    yield "most entries", wrap([named(n) for n in range(most)])
    wide = {f"x{number}": "1" for number in range(4000)}
    yield "large headers", wrap([named(n, headers=wide) for n in range(size // 200_000)])
    few = min(most, size // 66_000)
    yield (
        "largest entries",
        wrap([named(n, task="project.tasks.fail", args=["x" * 60_000]) for n in range(few)]),
    )


def bodies_for(operation: str, size: int, media_type: str) -> Iterator[tuple[str, bytes]]:
    """Yield the largest bodies of an operation in a media type."""
    if media_type not in {JSON, YAML}:
        yield "any", b"a=1&" * (size // 4)
        return
    yield from (illegal_json if media_type == JSON else illegal_yaml)(size)
    if operation == BATCH:
        yield from illegal_batches(size)
    if operation == MANIFEST:
        yield from illegal_manifests(size)
    if operation in MOST:
        yield from legal_bodies(operation, size)


def named(number: int, **fields: Any) -> dict[str, Any]:
    """Return the body of a periodic task with a name of its own."""
    return {**heartbeat(), "name": f"Task {number}", **fields}


def operations(each: list[Any]) -> bytes:
    """Return a batch."""
    return json.dumps({"operations": each}).encode()


def manifest(entries: list[Any]) -> bytes:
    """Return a manifest."""
    return json.dumps({"version": 1, "periodic_tasks": entries}).encode()
