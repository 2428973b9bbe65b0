"""Inheritance in the OpenAPI document: what several schemas have is described in one of them."""

import json
from typing import Any

from scheduler_api.openapi.names import singular

PAGE = {
    "type": "object",
    "description": "Links to the next and the previous page of a list.",
}
# Number of fields in which a request may differ from the request that it extends.
MAX_CHANGES = 1
INHERITED = ("additionalProperties", "not", "anyOf", "dependentRequired")


def extend(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Let schemas extend others; a postprocessing hook of drf-spectacular."""
    schemas = result["components"]["schemas"]
    extend_pages(schemas)
    extend_details(schemas)
    share_choices(schemas)
    merged = merge_requests(result)
    extend_requests(merged["components"]["schemas"])
    refer_to_choices(merged["components"]["schemas"])
    return merged


def refer_to_choices(schemas: dict[str, Any]) -> None:
    """Refer to a schema with a discriminator by `oneOf`, where `allOf` adds a description.

    From `allOf`, openapi-typescript makes a type with only the fields that all choices have.
    """
    choices = {ref(name) for name, schema in schemas.items() if "discriminator" in schema}
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            match field.get("allOf"):
                case [{"$ref": place}] if place in choices:
                    field["oneOf"] = field.pop("allOf")


def extend_pages(schemas: dict[str, Any]) -> None:
    """Describe the links of all pages once, as `Page`."""
    pages = {name: schema for name, schema in schemas.items() if name.startswith("Paginated")}
    links = {
        json.dumps({field: schema["properties"].pop(field) for field in ("next", "previous")})
        for schema in pages.values()
    }
    [link] = links
    properties = json.loads(link)
    schemas["Page"] = {**PAGE, "properties": properties, "required": list(properties)}
    for name, page in pages.items():
        schemas[name] = extending("Page", {**page, "required": ["results"]})


def extend_details(schemas: dict[str, Any]) -> None:
    """Let each `…Detail` extend the schema of the list if it has all of its fields."""
    for name, detail in list(schemas.items()):
        short = schemas.get(name.removesuffix("Detail"), detail)
        fields = short.get("properties", {})
        described = detail.get("properties", {})
        if short is detail or any(described.get(field) != fields[field] for field in fields):
            continue
        own = {key: value for key, value in described.items() if key not in fields}
        required = [field for field in detail["required"] if field in own]
        more = {**detail, "properties": own, "required": required}
        schemas[name] = extending(name.removesuffix("Detail"), more)


def share_choices(schemas: dict[str, Any]) -> None:
    """Describe the choices for the items of an array once, such as `Scope` for all `scopes`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for schema in list(schemas.values()):
        for field, described in schema.get("properties", {}).items():
            if "enum" in described.get("items", {}):
                found.setdefault(json.dumps([field, described["items"]]), []).append(described)
    for text, arrays in found.items():
        field, items = json.loads(text)
        name = singular(field)
        if len(arrays) > 1 and name not in schemas:
            schemas[name] = {"description": f"One of the {field}.", **items}
            for array in arrays:
                array["items"] = reference_to(name)


def merge_requests(result: dict[str, Any]) -> dict[str, Any]:
    """Keep the first of several request schemas that differ by name only."""
    schemas = result["components"]["schemas"]
    names: dict[str, str] = {}
    for name in sorted(schemas, key=len):
        if name.endswith("Request"):
            text = json.dumps({**schemas[name], "description": ""}, sort_keys=True)
            names[name] = names.get(text, name)
            names.setdefault(text, name)
    text = json.dumps(result)
    for name in list(schemas):
        if names.get(name, name) != name:
            text = text.replace(f'"#/components/schemas/{name}"', f'"{ref(names[name])}"')
    merged: dict[str, Any] = json.loads(text)
    for name in list(schemas):
        if names.get(name, name) != name:
            del merged["components"]["schemas"][name]
    return merged


def extend_requests(schemas: dict[str, Any]) -> None:
    """Let a request extend another with the same fields that requires fewer of them.

    The other one forbids further fields for both.
    """
    requests = {
        name: schema
        for name, schema in schemas.items()
        if name.endswith("Request") and "properties" in schema
    }
    # A choice by a property must require it: openapi-generator does not look into `allOf`.
    chosen = {place for schema in schemas.values() for place in choices_of(schema)}
    for name, request in requests.items():
        if ref(name) in chosen:
            continue
        for base_name, base in requests.items():
            changed = changes(base, request)
            if changed is None or len(changed) > MAX_CHANGES:
                continue
            own = {key: value for key, value in request.items() if key not in INHERITED}
            # With their schemas: from names alone, openapi-typescript makes a type without fields.
            required = set(request["required"]) - set(base.get("required", ()))
            again = {field: request["properties"][field] for field in sorted(required)}
            schemas[name] = extending(base_name, {**own, "properties": again | changed})
            break


def choices_of(schema: dict[str, Any]) -> list[str]:
    """Return the places of the schemas that a discriminator chooses from."""
    return [*schema.get("discriminator", {}).get("mapping", {}).values()]


def changes(base: dict[str, Any], request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the fields that a request describes otherwise than its base; None if it has none."""
    fields, others = request.get("properties", {}), base.get("properties", {})
    requires_more = set(base.get("required", ())) < set(request.get("required", ()))
    has_same_rules = all(base.get(keyword) == request.get(keyword) for keyword in INHERITED)
    if fields.keys() != others.keys() or not requires_more or not has_same_rules:
        return None
    return {name: field for name, field in fields.items() if field != others[name]}


def extending(base: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that has its own properties and those of another.

    Its own stand in `allOf`, too: generators of Python clients take a schema with one reference
    in `allOf` for another name of that reference.
    """
    own = {
        keyword: schema[keyword]
        for keyword in ("type", "properties", "required")
        if schema.get(keyword)
    }
    about = {
        keyword: text
        for keyword, text in schema.items()
        if keyword not in {"type", "properties", "required"}
    }
    return {"allOf": [reference_to(base), own], **about}


def ref(name: str) -> str:
    """Return the place of a schema."""
    return f"#/components/schemas/{name}"


def reference_to(name: str) -> dict[str, str]:
    """Refer to a schema."""
    return {"$ref": ref(name)}
