"""Dry runs in the OpenAPI document: the `…Draft` schemas.

A creation that is only tried is answered with a draft: the fields of the resource, except that
those assigned when it is stored (`id`, a secret) are null. The resource and its draft extend a
common base, so that no field is described twice. The draft itself as a base, or the other way
round, would have fields of two types, which generators of clients cannot merge.
"""

from typing import Any

from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from scheduler_api.http.viewsets import SLOTS_OF_A_DRY_RUN
from scheduler_api.openapi import headers
from scheduler_api.openapi.inheritance import extending

JSON = "application/json"
UPCOMING = {
    "type": "array",
    "items": {"type": "string", "format": "date-time"},
    "description": f"In a dry run only: the next slots, at most {SLOTS_OF_A_DRY_RUN}.",
}


def add_dry_run(
    responses: dict[str, Any],
    registry: ComponentRegistry,
    *,
    null_fields: tuple[str, ...],
    has_slots: bool,
) -> None:
    """Describe the response to a dry run beside the response to the write itself."""
    created = responses.get("201") or responses.get("202")
    written = created or responses.get("200")
    if not written or "content" not in written or not (created or has_slots):
        return
    content = written["content"][JSON]
    name = content["schema"]["$ref"].rpartition("/")[2]
    fields = fields_of(registry[name, ResolvedComponent.SCHEMA].schema)
    null_fields = tuple(field for field in null_fields if field in fields)
    draft = draft_of(name, registry, null_fields=null_fields, has_slots=has_slots)
    if not created:
        return  # the resource has its id: the schema of the write fits
    schema = draft.ref if draft else content["schema"]
    if success := responses.get("200"):  # of a write that creates or changes
        body = success["content"][JSON]
        body["schema"] = {"anyOf": [body["schema"], schema]}
        return
    responses["200"] = {
        "description": "The result of a dry run.",
        "headers": headers.OF_EVERY_SUCCESS,
        "content": {JSON: {"schema": schema}},
    }


def draft_of(
    name: str, registry: ComponentRegistry, *, null_fields: tuple[str, ...], has_slots: bool
) -> ResolvedComponent | None:
    """Return the draft of a schema, and make both extend a base; None if it needs none."""
    stored = registry[name, ResolvedComponent.SCHEMA]
    draft, base = component(f"{name}Draft"), component(f"{name}Base")
    if draft in registry:
        return draft
    properties = stored.schema["properties"]
    if not null_fields and not has_slots:
        return None
    others = {field: schema for field, schema in properties.items() if field not in null_fields}
    base.schema = {
        "type": "object",
        "description": f"Fields of `{name}` and of `{name}Draft`.",
        "properties": others | ({"upcoming": UPCOMING} if has_slots else {}),
        "required": list(others),
    }
    own = {
        "type": "object",
        "description": "The result of a dry run.",
        "properties": {field: null(properties[field]) for field in null_fields},
        "required": list(null_fields),
    }
    draft.schema = extending(base.name, own)
    stored.schema = extending(
        base.name,
        {
            **own,
            "description": stored.schema.get("description", ""),
            "properties": {field: properties[field] for field in null_fields},
        },
    )
    registry.register(base)
    registry.register(draft)
    return draft


def null(field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field that is null in a draft.

    It keeps the type of the field: openapi-generator has none for null alone.
    """
    return {
        "type": [field["type"], "null"],
        "const": None,
        "description": "Null: assigned when stored.",
    }


def component(name: str) -> ResolvedComponent:
    """Return a new schema component."""
    return ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, object=name)


def fields_of(schema: dict[str, Any]) -> set[str]:
    """Return the fields that a resource itself has, whether or not it extends a base."""
    return {*schema.get("required", ()), *schema.get("allOf", [{}])[-1].get("required", ())}
