"""How the OpenAPI document is made from the views: by rule, so that none is forgotten."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import Direction

from scheduler_api.http import problems
from scheduler_api.http.fields import StoredJSON
from scheduler_api.http.viewsets import ApiViewSet

# By action: the operation id, the summary, and what a success answers with.
STANDARD_OPERATIONS = {
    "list": ("list{Many}", "List {many}", "One page of {many}."),
    "create": ("create{One}", "Create {a} {one}", "The {one} as it is stored."),
    "retrieve": ("get{One}", "Get {a} {one}", "The {one}."),
    "update": ("replace{One}", "Replace {a} {one}", "The {one} as it is stored."),
    "partial_update": ("update{One}", "Change {a} {one}", "The {one} as it is stored."),
    "destroy": ("delete{One}", "Delete {a} {one}", "It is deleted."),
}
LOCATION = {
    "description": "The address of what was created.",
    "required": True,
    "schema": {"type": "string", "format": "uri"},
}

PROBLEMS_OF_ALL = (
    problems.InvalidQuery,
    problems.NotAcceptable,
    problems.ServerError,
    problems.Unavailable,
)
PROBLEMS_OF_AN_ADDRESS = (problems.NotFound,)
PROBLEMS_OF_A_BODY = (
    problems.BadRequest,
    problems.MalformedBody,
    problems.ValidationFailed,
    problems.LengthRequired,
    problems.BodyTooLarge,
    problems.UnsupportedMediaType,
)


def camel(name: str) -> str:
    """Turn `periodic task` or `run_now` into `PeriodicTask` and `RunNow`."""
    return "".join(word.capitalize() for word in re.split(r"[ _-]", name))


class ApiSchema(AutoSchema):
    """Names, texts and problem responses of the operations of an ApiViewSet."""

    view: ApiViewSet  # type: ignore[override]  # the base class takes any view

    @property
    def names(self) -> dict[str, str]:
        """Return the forms of the resource's name that ids and summaries are made of."""
        one = self.view.resource
        return {
            "one": one,
            "many": f"{one}s",
            "a": "an" if one[0] in "aeiou" else "a",
            "One": camel(one),
            "Many": camel(f"{one}s"),
        }

    def get_operation_id(self) -> str:
        """Return `listPeriodicTasks`, `pausePeriodicTask`, `getPeriodicTaskUpcoming`, …"""
        action = self.view.action
        if action in STANDARD_OPERATIONS:
            return STANDARD_OPERATIONS[action][0].format(**self.names)
        if self.method == "GET":
            return f"get{self.names['One']}{camel(action)}"
        return camel(action)[0].lower() + camel(action)[1:] + self.names["One"]

    def get_summary(self) -> str:
        """Return the standard summary, or the first line of the action's docstring."""
        action = self.view.action
        if action in STANDARD_OPERATIONS:
            return STANDARD_OPERATIONS[action][1].format(**self.names)
        return (getattr(self.view, action).__doc__ or "").partition("\n")[0].rstrip(".")

    def get_tags(self) -> list[str]:
        """Return the one tag of the view set."""
        return [self.view.tag]

    def get_override_parameters(self) -> list[Any]:
        """Return the query parameters that the action declares."""
        query = self.view.queries.get(self.view.action)
        return [query] if query else []

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Describe the successes, and add the problems."""
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        standard = STANDARD_OPERATIONS.get(self.view.action)
        for status, success in operation["responses"].items():
            success["description"] = (
                standard[2].format(**self.names) if standard else "The answer."
            )
            if status == "201":
                success["headers"] = {"Location": LOCATION}
        operation["responses"].update(self.problem_responses())
        return operation

    def problem_responses(self) -> dict[str, Any]:
        """Refer to a description of each status that the operation can refuse with."""
        possible = sorted(self.possible_problems(), key=lambda problem: problem.status_code)
        return {
            str(status): self.shared_response(list(group))
            for status, group in groupby(possible, key=lambda problem: problem.status_code)
        }

    def shared_response(self, possible: list[type[problems.Problem]]) -> dict[str, str]:
        """Describe problems with one status once for all operations that have the same ones."""
        name = "Or".join(camel(problem.code) for problem in possible)
        component = ResolvedComponent(
            name=name,
            type=ResolvedComponent.RESPONSE,
            schema=problem_response_schema(possible),
            object=name,
        )
        self.registry.register_on_missing(component)
        reference: dict[str, str] = component.ref
        return reference

    def possible_problems(self) -> Iterator[type[problems.Problem]]:
        """Say what the operation can refuse."""
        yield from PROBLEMS_OF_ALL
        if "{" in self.path:
            yield from PROBLEMS_OF_AN_ADDRESS
        if self.method in {"POST", "PUT", "PATCH"}:
            yield from PROBLEMS_OF_A_BODY
        if self.method != "GET":
            yield problems.Conflict
        yield from self.view.problems.get(self.view.action, ())


class StoredJSONSchema(OpenApiSerializerFieldExtension):
    """Describes a StoredJSON: an answer may have null, for text that others have spoilt."""

    target_class = StoredJSON

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        """Return the schema of the array or object."""
        name = StoredJSON.names[self.target.json_type]
        anything: dict[str, Any] = (
            {"items": {}} if name == "array" else {"additionalProperties": {}}
        )
        return {"type": name if direction == "request" else [name, "null"], **anything}


def problem_response_schema(possible: list[type[problems.Problem]]) -> dict[str, Any]:
    """Describe the answer with one status: which codes it may have, and what they mean."""
    codes = [problem.code for problem in possible]
    lines = [f"- `{problem.code}`: {problem.title()}" for problem in possible]
    return {
        "description": "\n".join(lines),
        "content": {
            problems.CONTENT_TYPE: {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Problem"},
                        {"type": "object", "properties": {"code": {"enum": codes}}},
                    ]
                },
                "example": example_of(possible[0]),
            }
        },
    }


def example_of(problem: type[problems.Problem]) -> dict[str, Any]:
    """Return an answer with this problem."""
    return {
        "type": f"urn:scheduler-api:problem:{problem.code}",
        "title": problem.title(),
        "status": problem.status_code,
        "detail": problem.title(),
        "instance": "/api/v1/periodic-tasks/",
        "code": problem.code,
        "request_id": "6f1c5a52-58b2-4f0d-8d0c-1f2b7f9f4e1a",
        "errors": [],
    }


def add_problem(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Describe the shape of all problems; a postprocessing hook of drf-spectacular."""
    text = {"type": "string"}
    mistake = {
        "type": "object",
        "required": ["code", "detail"],
        "properties": {
            "pointer": {**text, "description": "Where in the body: a JSON pointer (RFC 6901)."},
            "parameter": {**text, "description": "Which query parameter."},
            "code": {**text, "description": "What is wrong; never changes."},
            "detail": {**text, "description": "What is wrong and how to mend it, for people."},
        },
    }
    members = {
        "type": {**text, "format": "uri"},
        "title": {**text, "description": "What all problems with this code have in common."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {**text, "description": "What is wrong with this very request."},
        "instance": {**text, "description": "The path that was asked for."},
        "code": {**text, "description": "Which problem; never changes, so programs compare it."},
        "request_id": {**text, "description": "The X-Request-Id of the answer, for our logs."},
        "errors": {"type": "array", "items": mistake, "description": "Each mistake by itself."},
    }
    extensions = {
        "used_by": {
            "type": "array",
            "items": text,
            "description": "With `schedule_in_use`: the names of the periodic tasks, at most 100.",
        }
    }
    result["components"]["schemas"]["Problem"] = {
        "type": "object",
        "description": "Why the request was refused: problem details as in RFC 9457.",
        "required": list(members),
        "properties": members | extensions,
    }
    return result
