"""What the tests of openapi.yaml read from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.client import OPENAPI_FILE, escape, load_document

TEXT = OPENAPI_FILE.read_text()
DOCUMENT: dict[str, Any] = load_document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    described: dict[str, Any]

    @property
    def id(self) -> str:
        name: str = self.described.get("operationId", f"{self.method} {self.path}")
        return name

    @property
    def place(self) -> str:
        return f"#/paths/{escape(self.path)}/{self.method}"

    def responses(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield each status with the place and the description of its response."""
        for status, response in self.described["responses"].items():
            place = response.get("$ref", f"{self.place}/responses/{status}")
            yield status, place, resolved(response)

    def contents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the place and the description of each body, sent or answered."""
        bodies = [(place, response) for _, place, response in self.responses()]
        if body := self.described.get("requestBody"):
            bodies.append((f"{self.place}/requestBody", body))
        for place, described in bodies:
            for media_type, content in described.get("content", {}).items():
                yield f"{place}/content/{escape(media_type)}", content


OPERATIONS = [
    Operation(method=method, path=path, described=described)
    for path, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
]


def resolved(described: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference into the components, if it is one."""
    if "$ref" not in described:
        return described
    *_, kind, name = described["$ref"].split("/")
    component: dict[str, Any] = DOCUMENT["components"][kind][name]
    return component


def operation(name: str) -> Operation:
    """Return the operation with an id."""
    return next(operation for operation in OPERATIONS if operation.id == name)


def examples_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return the examples of a body, by name."""
    return {name: example["value"] for name, example in content.get("examples", {}).items()}


def everything_in(node: object) -> Iterator[dict[str, Any]]:
    """Yield every object in the document, whatever it stands for."""
    if isinstance(node, dict):
        yield node
        for inner in node.values():
            yield from everything_in(inner)
    if isinstance(node, list):
        for inner in node:
            yield from everything_in(inner)
