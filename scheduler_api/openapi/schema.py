"""How the OpenAPI document is made from the views: by rule, so that none is forgotten."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import Direction, OpenApiParameter

from scheduler_api.http import etags, idempotency, problems, viewsets
from scheduler_api.http.viewsets import ApiViewSet
from scheduler_api.openapi.bodies import CHANGE
from scheduler_api.openapi.problems import RATE_LIMITS, problem_response

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
REQUEST_ID = ResolvedComponent(
    name="RequestId",
    type=ResolvedComponent.HEADER,
    object="RequestId",
    schema={
        "description": "The id of the request: the one that you sent, or a new one.",
        "required": True,
        "schema": {"type": "string", "maxLength": 128},
        "example": "6f1c5a52-58b2-4f0d-8d0c-1f2b7f9f4e1a",
    },
)
RATE_LIMIT_POLICY = ResolvedComponent(
    name="RateLimitPolicy",
    type=ResolvedComponent.HEADER,
    object="RateLimitPolicy",
    schema={
        "description": "How many requests (`q`) may be sent in so many seconds (`w`), unless "
        "there is no limit: by an account, or by an address that sends no valid key.",
        "schema": {"type": "string"},
        "example": '"account";q=6000;w=60',
    },
)
RATE_LIMIT = ResolvedComponent(
    name="RateLimit",
    type=ResolvedComponent.HEADER,
    object="RateLimit",
    schema={
        "description": "About how many requests remain (`r`) for so many seconds (`t`).",
        "schema": {"type": "string"},
        "example": '"account";r=5950;t=37',
    },
)
ETAG = {
    "description": "Names this state of the definition, for `If-Match` and `If-None-Match`.",
    "required": True,
    "schema": {"type": "string"},
    "example": '"8c6744c9d42ec2cb9e8885b54ff744d0"',
}
CHANGES = {"update", "partial_update", "destroy", "put_by_name"}
# These change what the caller need not have seen.
SWITCHES = {"pause", "resume", "apply"}
# Statuses of what was made: stored, or to be done.
MAKES = ("201", "202")
ONE_DEFINITION = {"create", "retrieve", *CHANGES, *SWITCHES}
IDEMPOTENCY_KEY = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description=(
        "Names this request, so that it has one effect however often it is sent: a repeat within "
        "24 hours is answered as the first was. Take a new one, such as a UUID, for each request."
    ),
)
REPLAYED = {
    "description": "Sent with an answer that was given before, to the same `Idempotency-Key`.",
    "schema": {"type": "string", "const": "true"},
}
UPCOMING = {
    "type": "array",
    "items": {"type": "string", "format": "date-time"},
    "description": f"The next slots, at most {viewsets.SLOTS_OF_A_DRY_RUN}, in UTC.",
    "example": ["2027-03-28T01:00:00Z"],
}

PROBLEMS_OF_ALL = (
    problems.InvalidQuery,
    problems.BadRequest,
    problems.NotAuthenticated,
    problems.Forbidden,
    problems.NotAcceptable,
    problems.TooManyRequests,
    problems.ServerError,
    problems.Unavailable,
)
PROBLEMS_OF_AN_ADDRESS = (problems.NotFound,)
PROBLEMS_OF_A_BODY = (
    problems.ValidationFailed,
    problems.MalformedBody,
    problems.LengthRequired,
    problems.BodyTooLarge,
    problems.UnsupportedMediaType,
)
PROBLEMS_OF_A_POST = (
    idempotency.InvalidIdempotencyKey,
    idempotency.RequestInFlight,
    idempotency.IdempotencyKeyReused,
)


def condition(header: str, description: str, *, takes_tags: bool = True) -> OpenApiParameter:
    """Describe a header that makes a request conditional."""
    schema: dict[str, Any] = {"type": "string", "enum": [etags.ANY]}
    if takes_tags:
        # One pattern rather than `anyOf`, of which generators of clients make no header.
        any_of_all = re.escape(etags.ANY)
        schema = {"type": "string", "pattern": f"^(?:{any_of_all}|{etags.TAGS})$"}
    return OpenApiParameter(header, schema, OpenApiParameter.HEADER, description=description)


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
        many = re.sub("([^aeiou])y$", r"\1ie", one) + "s"
        return {
            "one": one,
            "many": many,
            "a": "an" if one[0] in "aeiouA" else "a",
            "One": camel(one),
            "Many": camel(many),
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

    def get_description(self) -> str:  # type: ignore[override]  # as in the base class
        """Return the docstring, without what the summary has said already, and the scope."""
        description: str = super().get_description()
        first, _, rest = description.partition("\n\n")
        if rest and first.rstrip(".") == self.get_summary():
            description = rest
        scope = self.view.scopes[self.view.action]
        return f"{description}\n\nScope: `{scope}`." if scope else description

    def get_tags(self) -> list[str]:
        """Return the one tag of the view set."""
        return [self.view.tag]

    def get_override_parameters(self) -> list[Any]:
        """Return the query parameters that the action declares, and the id in the path."""
        query = self.view.queries.get(self.view.action)
        address = OpenApiParameter(
            "id",
            dict(self.view.id_schema),
            OpenApiParameter.PATH,
            description=f"The id of the {self.view.resource}.",
        )
        parameters = [*([query] if query else []), *([address] if "{id}" in self.path else [])]
        if self.view.action in CHANGES | SWITCHES:
            parameters.append(condition("If-Match", "Change it only if its ETag is this one."))
        if self.view.action == "put_by_name":
            description = "`*` to create it, and replace none."
            parameters.append(condition("If-None-Match", description, takes_tags=False))
        if self.view.action == "retrieve":
            parameters.append(condition("If-None-Match", "The ETag of the answer you have."))
        if self.method == "POST":
            parameters.append(IDEMPOTENCY_KEY)
        if self.view.writes(self.method):
            parameters.append(viewsets.DryRunQuery)
        return parameters

    def _get_filter_parameters(self) -> list[dict[str, Any]]:
        """Say that a filter has a value; overridden, since no setting does it."""
        parameters: list[dict[str, Any]] = super()._get_filter_parameters()  # type: ignore[no-untyped-call]
        for parameter in parameters:
            if parameter["schema"] == {"type": "string"}:
                parameter["schema"]["minLength"] = 1
            elif parameter["schema"]["type"] == "array":
                parameter["schema"]["minItems"] = 1
        return parameters

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Describe the successes, and add the problems."""
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        for header in (REQUEST_ID, RATE_LIMIT_POLICY, RATE_LIMIT):
            self.registry.register_on_missing(header)
        for status, success in operation["responses"].items():
            success["description"] = self.success()
            success["headers"] = {"X-Request-Id": REQUEST_ID.ref, **RATE_LIMITS}
            if status in MAKES:
                success["headers"]["Location"] = LOCATION
            if self.view.action in ONE_DEFINITION and status != "204":
                success["headers"]["ETag"] = ETAG
            if self.method == "POST":
                success["headers"][idempotency.REPLAYED] = REPLAYED
        if self.view.writes(self.method):
            self.add_dry_run(operation["responses"])
        if self.view.action == "retrieve":
            operation["responses"]["304"] = {
                "description": "It is as you have it.",
                "headers": {"X-Request-Id": REQUEST_ID.ref, **RATE_LIMITS, "ETag": ETAG},
            }
        operation["responses"].update(self.problem_responses())
        return operation

    def add_dry_run(self, responses: dict[str, Any]) -> None:
        """Describe what a dry run answers, where that is not what the write itself does."""
        if "ETag" in responses.get("200", {}).get("headers", {}):
            # What is not stored has no tag.
            responses["200"]["headers"]["ETag"] = {**ETAG, "required": False}
        made = next((responses[status] for status in MAKES if status in responses), None)
        written = made or responses.get("200")
        is_other = made or self.view.has_slots
        is_one = "202" in responses or self.view.action in ONE_DEFINITION
        if not written or not is_other or not is_one:
            return
        stored = written["content"]["application/json"]
        would_be = self.would_be(stored["schema"]["$ref"].rpartition("/")[2])
        examples = {
            f"{name}DryRun": {
                "summary": "A dry run",
                "value": example["value"]
                | {
                    field: None
                    for field in self.view.made_when_stored
                    if made and field in example["value"]
                }
                | ({"upcoming": UPCOMING["example"]} if self.view.has_slots else {}),
            }
            for name, example in stored["examples"].items()
        }
        if success := responses.get("200"):
            answer = success["content"]["application/json"]
            answer["schema"] = {"anyOf": [answer["schema"], would_be.ref]}
            answer["examples"] |= examples
            return
        responses["200"] = {
            "description": "What would be stored; nothing was.",
            "headers": {"X-Request-Id": REQUEST_ID.ref, **RATE_LIMITS},
            "content": {"application/json": {"schema": would_be.ref, "examples": examples}},
        }

    def would_be(self, name: str) -> ResolvedComponent:
        """Describe an answer without what is known only when it is stored, and with its slots."""
        stored = self.registry[name, ResolvedComponent.SCHEMA].schema
        properties = {
            field: {**schema, "type": [schema["type"], "null"]}
            if field in self.view.made_when_stored
            else schema
            for field, schema in stored["properties"].items()
        } | ({"upcoming": UPCOMING} if self.view.has_slots else {})
        component = ResolvedComponent(
            name=f"WouldBe{name}",
            type=ResolvedComponent.SCHEMA,
            object=f"WouldBe{name}",
            schema={
                "type": "object",
                "description": "The answer to a dry run.",
                "properties": properties,
                "required": list(properties),
            },
        )
        self.registry.register_on_missing(component)
        return component

    def success(self) -> str:
        """Say what a success answers with."""
        if standard := STANDARD_OPERATIONS.get(self.view.action):
            return standard[2].format(**self.names)
        if self.view.action in self.view.pages:
            return f"One page of {self.view.action}."
        answer: object = self.get_response_serializers()
        if isinstance(answer, dict):  # by status, and for each the same
            answer = next(iter(answer.values()))
        return (answer.__doc__ or "").partition("\n")[0]

    def _get_examples(self, serializer: Any, direction: Direction, *args: Any) -> Any:
        """Leave out what is not sent with this method; overridden, since no setting does it."""
        found: dict[str, Any] = super()._get_examples(serializer, direction, *args)  # type: ignore[no-untyped-call]
        if direction == "response":
            return found
        is_patch = self.method == "PATCH"
        return {
            name: example
            for name, example in found.items()
            if example.get("summary", "").startswith(CHANGE) is is_patch
        }

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
            schema=problem_response(possible, {"X-Request-Id": REQUEST_ID.ref}),
            object=name,
        )
        self.registry.register_on_missing(component)
        reference: dict[str, str] = component.ref
        return reference

    def possible_problems(self) -> Iterator[type[problems.Problem]]:
        """Say what the operation can refuse; of one status, what is met most often first."""
        yield from self.view.problems.get(self.view.action, ())
        if self.method in {"POST", "PUT", "PATCH"}:
            yield from PROBLEMS_OF_A_BODY
        if self.method != "GET":
            yield problems.Conflict
        if self.view.action in CHANGES | SWITCHES:
            yield etags.RevisionMismatch
        if self.view.action in CHANGES:
            yield etags.PreconditionRequired
        if self.method == "POST":
            yield from PROBLEMS_OF_A_POST
        if self.view.action in self.view.secret_answers:
            yield idempotency.AnswerNotKept
        if "{" in self.path:
            yield from PROBLEMS_OF_AN_ADDRESS
        yield from PROBLEMS_OF_ALL
