"""Sharing in the OpenAPI document: equal parameters and responses become one component.

These are postprocessing hooks of drf-spectacular, which describes each operation by itself.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from scheduler_api.openapi.names import parameter_name, response_name
from scheduler_api.openapi.problems import GENERAL


class Use(NamedTuple):
    """One place in the document with a description that other places may have, too."""

    holder: Any  # the object or array with the description
    key: Any
    path: str
    tags: list[str]

    @property
    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.holder[self.key]
        return found


def operations(result: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and description of each operation, those of webhooks last."""
    for group in ("paths", "webhooks"):
        for path, methods in result.get(group, {}).items():
            for method, operation in methods.items():
                yield path, method, operation


def share(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Share parameters and responses."""
    parameters: list[Use] = []
    responses: list[Use] = []
    for path, _method, operation in operations(result):
        tags = operation["tags"]
        sent, answered = operation.get("parameters", []), operation["responses"]
        parameters += [Use(sent, index, path, tags) for index in range(len(sent))]
        responses += [Use(answered, status, path, tags) for status in answered]
    result["components"]["parameters"] = extract("parameters", parameters, name_of_parameter)
    result["components"]["responses"] = extract("responses", responses, name_of_response)
    inline_examples(result, [use.described for use in responses])
    return result


def inline_examples(result: dict[str, Any], answered: list[dict[str, Any]]) -> None:
    """Move the examples that one response has to that response."""
    bodies = [
        content
        for response in (*answered, *result["components"]["responses"].values())
        for content in response.get("content", {}).values()
    ]
    shown = [content["examples"] for content in bodies if "examples" in content]
    uses = Counter(code for examples in shown for code in examples)
    components = result["components"]["examples"]
    for examples in shown:
        for code in examples:
            if uses[code] == 1 and code in components:
                examples[code] = components.pop(code)


def extract(kind: str, uses: Iterable[Use], name_of: Callable[[list[Use]], str]) -> dict[str, Any]:
    """Return the descriptions that have several uses, by name, and refer to them instead."""
    groups: dict[str, list[Use]] = {}
    for use in uses:
        groups.setdefault(json.dumps(use.described), []).append(use)
    components: dict[str, Any] = {}
    for group in groups.values():
        if len(group) == 1:
            continue
        name = name_of(group)
        if name in components:
            path = group[0].path
            raise ValueError(f"Two of the {kind} would be named {name}; one is of {path}")
        components[name] = group[0].described
        for use in group:
            use.holder[use.key] = {"$ref": f"#/components/{kind}/{name}"}
    return dict(sorted(components.items()))


def name_of_parameter(group: list[Use]) -> str:
    """Return the name of a shared parameter."""
    tags = [tag for use in group for tag in use.tags]
    return parameter_name(group[0].described, [use.path for use in group], tags)


def name_of_response(group: list[Use]) -> str:
    """Return the name of a shared response."""
    return response_name(group[0].key, group[0].described, GENERAL)
