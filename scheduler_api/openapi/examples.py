"""Examples in the OpenAPI document: each stands once, at the schema that it is an example of."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from scheduler_api.openapi.sharing import operations

Values = list[Any]


def move_examples(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Move examples to their schemas; a postprocessing hook of drf-spectacular.

    An operation keeps an example that most operations with the same schema do not have.
    """
    schemas = result["components"]["schemas"]
    found: dict[str, list[Values]] = {}
    for content in contents(result):
        for name in names_in(content["schema"]):
            found.setdefault(name, []).append(values_of(content))
            break  # further ones are of drafts
    for name, candidates in found.items():
        if not is_page(schemas[name]):
            schemas[name]["examples"] = most_common(candidates)
    add_drafts(schemas)
    for content in contents(result):
        shown = [
            value for name in names_in(content["schema"]) for value in examples_of(name, schemas)
        ]
        if all(value in shown for value in values_of(content)):
            del content["examples"]
    return result


def add_drafts(schemas: dict[str, Any]) -> None:
    """Make the example of each draft from the first example of its resource.

    Without one, the pages show placeholders for the response to a dry run, which comes first.
    """
    for name, schema in schemas.items():
        if name.endswith("Draft"):
            nulls = dict.fromkeys(schema["allOf"][-1]["properties"])
            [example, *_] = schemas[name.removesuffix("Draft")]["examples"]
            schema["examples"] = [example | nulls]


def contents(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each body with examples; those of problems are components already."""
    for _, _, operation in operations(result):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            for content in body.get("content", {}).values():
                if any("value" in example for example in content.get("examples", {}).values()):
                    yield content


def names_in(schema: dict[str, Any]) -> list[str]:
    """Return the names of the components that a schema refers to."""
    references = schema.get("anyOf", [schema])
    return [choice["$ref"].rpartition("/")[2] for choice in references if "$ref" in choice]


def values_of(content: dict[str, Any]) -> Values:
    """Return the values of the examples of a body."""
    return [example["value"] for example in content["examples"].values()]


def is_page(schema: dict[str, Any]) -> bool:
    """Return whether a schema is a page of a list, whose rows have examples of their own."""
    return "$ref" in schema.get("properties", {}).get("results", {}).get("items", {}) and (
        "previous" in schema["properties"]
    )


def examples_of(name: str, schemas: dict[str, Any]) -> Values:
    """Return the examples of a schema; those of a page have one row each."""
    schema = schemas[name]
    if not is_page(schema):
        return list(schema.get("examples", []))
    (row,) = names_in(schema["properties"]["results"]["items"])
    nothing = {"next": None, "previous": None}
    return [{**nothing, "results": [value]} for value in schemas[row].get("examples", [])]


def most_common(candidates: list[Values]) -> Values:
    """Return the values that most operations have; of equally many, the first."""
    texts = Counter(map(repr, candidates))
    return max(candidates, key=lambda values: texts[repr(values)])
