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

    def parameters(self) -> list[dict[str, Any]]:
        """Return the descriptions of its parameters."""
        return [resolved(parameter) for parameter in self.described.get("parameters", [])]


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
    """Return the examples of a body, by name: its own, else those of its schema, numbered."""
    if "examples" in content:
        return {name: resolved(example)["value"] for name, example in content["examples"].items()}
    return {
        str(number): value for number, value in enumerate(examples_of_schema(content["schema"]))
    }


def examples_of_schema(schema: dict[str, Any]) -> list[Any]:
    """Return the examples of a schema.

    A page has those of its rows, one row each.
    """
    schema = resolved(schema)
    if "anyOf" in schema:
        return [example for part in schema["anyOf"] for example in examples_of_schema(part)]
    if "examples" in schema or "results" not in fields_of(schema):
        return list(schema.get("examples", ()))
    rows = examples_of_schema(fields_of(schema)["results"]["items"])
    return [{"next": None, "previous": None, "results": [row]} for row in rows]


def fields_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an object, inherited fields included."""
    inherited = [fields_of(resolved(part)) for part in schema.get("allOf", ())]
    return {
        name: field
        for fields in (*inherited, schema.get("properties", {}))
        for name, field in fields.items()
    }


def required_in(schema: dict[str, Any]) -> set[str]:
    """Return the required fields of an object, inherited fields included."""
    inherited = [required_in(resolved(part)) for part in schema.get("allOf", ())]
    return set(schema.get("required", ())).union(*inherited)


def everything_in(node: object) -> Iterator[dict[str, Any]]:
    """Yield every object in the document, whatever it stands for."""
    if isinstance(node, dict):
        yield node
        for inner in node.values():
            yield from everything_in(inner)
    if isinstance(node, list):
        for inner in node:
            yield from everything_in(inner)
