"""The schemas of bodies in the OpenAPI document, and their examples."""

import json
from collections.abc import Mapping
from typing import Any, cast

from drf_spectacular.extensions import (
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import Direction, OpenApiExample
from rest_framework.serializers import Serializer

from scheduler_api.http.fields import StoredJSON

# The beginning of the summary of a PATCH example.
CHANGE = "Change the"


def examples(
    name: str, sent: dict[str, Any], *, changed: str, answer: dict[str, Any]
) -> list[OpenApiExample]:
    """Return examples of a body, of a PATCH of the field `changed`, and of the answer."""
    change = f"{CHANGE} {changed.replace('_', ' ')}"
    return [
        OpenApiExample(name, sent, request_only=True),
        OpenApiExample(change, {changed: sent[changed]}, request_only=True),
        OpenApiExample(name, answer, response_only=True),
    ]


def one_of(
    auto_schema: AutoSchema,
    kinds: Mapping[str, type[Serializer[Any]]],
    *,
    discriminator: str,
    name: str,
    description: str,
    direction: Direction,
) -> dict[str, str]:
    """Return a reference to a `oneOf` of components, discriminated by one property."""
    references = {
        kind: auto_schema.resolve_serializer(serializer, direction).ref
        for kind, serializer in kinds.items()
    }
    component = ResolvedComponent(
        name=name if direction == "response" else f"{name}Request",
        type=ResolvedComponent.SCHEMA,
        object=name,
        schema={
            "type": "object",
            "description": description,
            "oneOf": list(references.values()),
            "discriminator": {
                "propertyName": discriminator,
                "mapping": {kind: ref["$ref"] for kind, ref in references.items()},
            },
        },
    )
    auto_schema.registry.register_on_missing(component)
    reference: dict[str, str] = component.ref
    return reference


class BodySchema(OpenApiSerializerExtension):
    """Makes the schema of every body exact.

    A request has only the described fields; an answer has all of them. The limits of a request
    do not apply to an answer, because other writers fill the same rows. A serializer or a field
    declares further limits of a request in `in_requests`.
    """

    target_class = Serializer
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """Return drf-spectacular's schema of the object, made exact."""
        mapped = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        schema = cast(dict[str, Any], mapped)
        properties = schema["properties"]
        without = {"title", "x-spec-enum-id"}
        if direction == "request":
            schema["additionalProperties"] = False
            beyond = dict(getattr(self.target, "in_requests", {}))
            of_fields = beyond.pop("properties", {})
            schema |= beyond
            for name, field in properties.items():
                of_field = self.beyond_its_type(self.target.fields[name])
                properties[name] = field | of_field | of_fields.get(name, {})
            without |= {"default"} if self.target.partial else set()
        else:
            schema["required"] = list(properties)
            properties.get("id", {}).setdefault("description", "ID; it never changes.")
            without |= {
                "readOnly",  # a field that cannot be sent is not in the schema of the request
                "default",
                "enum",
                "minimum",
                "maximum",
                "minLength",
                "maxLength",
                "pattern",
            }
        for name, field in properties.items():
            # An enum of one value is a discriminator, not a limit.
            kept = {"enum"} if len(field.get("enum", ())) == 1 else set()
            properties[name] = {
                key: value for key, value in field.items() if key not in without - kept
            }
        return schema

    def beyond_its_type(self, field: Any) -> dict[str, Any]:
        """Return the limits of a field in a request."""
        # drf-spectacular describes only min_length.
        something = {} if getattr(field, "allow_empty", True) else {"minItems": 1}
        return {**something, **getattr(field, "in_requests", {})}


def describe_defaults(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Move the defaults of requests into the descriptions; a hook of drf-spectacular.

    Some generators require a field with the keyword `default` (openapi-typescript), others send
    the default themselves (openapi-python-client). An empty default needs no words.
    """
    for schema in result["components"]["schemas"].values():
        for field in schema.get("properties", {}).values():
            default = field.pop("default", None)
            if default not in (None, "", [], {}):
                written = default if isinstance(default, str) else json.dumps(default)
                field["description"] += f" Default: `{written}`."
    return result


class StoredJSONSchema(OpenApiSerializerFieldExtension):
    """Describes a StoredJSON: an answer has null for text that is not JSON."""

    target_class = StoredJSON
    match_subclasses = True

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        """Return the schema of the array or object."""
        name = StoredJSON.names[self.target.json_type]
        anything = "items" if name == "array" else "additionalProperties"
        if direction == "response":
            return {"type": [name, "null"], anything: {}}
        return {"type": name, anything: {}}
