"""The OpenAPI operations: derived by rule from the view sets, so that none is forgotten."""

import re
from collections.abc import Iterator
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter

from scheduler_api.http import etags, idempotency, problems, viewsets
from scheduler_api.http.parsing import BULK_MAX_BYTES
from scheduler_api.http.viewsets import ApiViewSet, ListRetrieveViewSet
from scheduler_api.openapi import headers
from scheduler_api.openapi.bodies import CHANGE
from scheduler_api.openapi.dry_run import add_dry_run
from scheduler_api.openapi.names import camel
from scheduler_api.openapi.problems import problem_responses

# By action: the operation id, the summary, and the description of a success.
STANDARD_OPERATIONS = {
    "list": ("list{Many}", "List {many}", "One page of {many}."),
    "create": ("create{One}", "Create {a} {one}", "The created {one}."),
    "retrieve": ("get{One}", "Get {a} {one}", "The {one}."),
    "update": ("replace{One}", "Replace {a} {one}", "The changed {one}."),
    "partial_update": ("update{One}", "Update {a} {one}", "The changed {one}."),
    "destroy": ("delete{One}", "Delete {a} {one}", "The {one} is deleted."),
}
# By action: the description, where a view set does not replace the action.
DESCRIPTIONS = {
    "list": "Returns one page. Follow `next` until it is null.",
    "create": "`Location` is the URL of the new {one}.",
    "retrieve": "Supports conditional requests with `If-None-Match`.",
    "update": "A field that is left out gets its default.",
    "partial_update": "A field that is left out keeps its value.",
    "destroy": "A deletion cannot be undone.",
}
CHANGES = {"update", "partial_update", "destroy", "put_by_name"}
# These overwrite nothing that the caller must have seen, so they never require If-Match.
SWITCHES = {"pause", "resume", "apply"}
# Statuses of a response to a creation: stored, or accepted.
CREATED = ("201", "202")
ONE_DEFINITION = {"create", "retrieve", *CHANGES, *SWITCHES}

PROBLEMS_OF_ALL = (
    problems.InvalidQuery,
    problems.BadRequest,
    problems.NotAuthenticated,
    problems.Forbidden,
    problems.NotAcceptable,
    problems.TooManyRequests,
    problems.ServerError,
    problems.Unavailable,
    problems.DatabaseBusy,
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


class ApiSchema(AutoSchema):
    """Ids, texts, parameters and responses of the operations of an ApiViewSet."""

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
            found_by = camel(self.view.found_by)
            return STANDARD_OPERATIONS[action][0].format(**self.names) + found_by
        if self.method == "GET":
            return f"get{self.names['One']}{camel(action)}"
        if action == "put_by_name":
            return f"put{self.names['One']}{camel(self.view.found_by)}"
        return camel(action)[0].lower() + camel(action)[1:] + self.names["One"]

    def get_summary(self) -> str:
        """Return the standard summary, or the first line of the action's docstring."""
        action = self.view.action
        if action in STANDARD_OPERATIONS:
            summary = STANDARD_OPERATIONS[action][1].format(**self.names)
            return f"{summary} {self.view.found_by}".rstrip()
        return (getattr(self.view, action).__doc__ or "").partition("\n")[0].rstrip(".")

    def get_description(self) -> str:  # type: ignore[override]  # as in the base class
        """Return the standard description, or the docstring without the summary; and the scope."""
        description: str = super().get_description()
        action = getattr(self.view, self.view.action)
        if action.__module__ == viewsets.__name__ and self.view.action in DESCRIPTIONS:
            description = DESCRIPTIONS[self.view.action].format(**self.names)
        first, _, rest = description.partition("\n\n")
        if rest and first.rstrip(".") == self.get_summary():
            description = rest
        scope = self.view.scopes[self.view.action]
        return f"{description}\n\nScope: `{scope}`." if scope else description

    def get_tags(self) -> list[str]:
        """Return the one tag of the view set."""
        return [self.view.tag]

    def get_override_parameters(self) -> list[Any]:
        """Return the action's query parameters, the id in the path, and the request headers."""
        query = self.view.queries.get(self.view.action)
        address = OpenApiParameter(
            "id",
            dict(self.view.id_schema),
            OpenApiParameter.PATH,
            description=f"ID of the {self.view.resource}.",
        )
        parameters = [*([query] if query else []), *([address] if "{id}" in self.path else [])]
        if self.view.action in CHANGES | SWITCHES:
            parameters.append(headers.IF_MATCH)
        if self.view.action == "put_by_name":
            parameters.append(headers.IF_NONE_EXISTS)
        if self.view.action == "retrieve":
            parameters.append(headers.IF_NONE_MATCH)
        if self.method == "POST":
            parameters.append(headers.IDEMPOTENCY_KEY)
        if self.view.writes(self.method):
            parameters.append(viewsets.DryRunQuery)
        return parameters

    def _get_filter_parameters(self) -> list[dict[str, Any]]:
        """Require a value in each filter; overridden, since no setting does it."""
        parameters: list[dict[str, Any]] = super()._get_filter_parameters()  # type: ignore[no-untyped-call]
        for parameter in parameters:
            # Without the choices, which the setting ENUM_GENERATE_CHOICE_DESCRIPTION leaves out.
            parameter["description"] = parameter["description"].strip()
            # Meant for postprocessing hooks of drf-spectacular.
            for schema in (parameter["schema"], parameter["schema"].get("items", {})):
                schema.pop("x-spec-enum-id", None)
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
        for status, success in operation["responses"].items():
            success["description"] = self.success()
            success["headers"] = self.success_headers(status)
        if self.view.writes(self.method):
            add_dry_run(
                operation["responses"],
                self.registry,
                null_fields=self.view.fields_of_stored_rows,
                has_slots=self.view.has_slots and self.answers_one(operation["responses"]),
            )
        if self.view.action == "retrieve":
            operation["responses"]["304"] = {
                "description": "The resource still has the ETag that you sent.",
                "headers": {**headers.OF_EVERY_SUCCESS, "ETag": headers.header("ETag")},
            }
        operation["responses"].update(problem_responses(self.possible_problems()))
        return operation

    def answers_one(self, responses: dict[str, Any]) -> bool:
        """Return whether a success has one resource, rather than a page or a report."""
        return "202" in responses or self.view.action in ONE_DEFINITION

    def success_headers(self, status: str) -> dict[str, Any]:
        """Return the headers of a success with this status."""
        found = {**headers.OF_EVERY_SUCCESS}
        if status in CREATED:
            found |= headers.LOCATION
        if self.view.action in ONE_DEFINITION and status not in {"202", "204"}:
            # Only a stored definition has a version; a run that was accepted has none.
            is_dry_run_too = status == "200" and self.view.writes(self.method)
            found["ETag"] = headers.header("ETagIfStored" if is_dry_run_too else "ETag")
        if self.method == "POST":
            found |= headers.REPLAYED
        return found

    def success(self) -> str:
        """Return the description of a success."""
        if standard := STANDARD_OPERATIONS.get(self.view.action):
            return standard[2].format(**self.names)
        if self.view.action in self.view.paged_actions:
            return f"One page of {self.view.action}."
        answer: object = self.get_response_serializers()
        if isinstance(answer, dict):  # by status; the serializer is the same for each
            answer = next(iter(answer.values()))
        if (
            isinstance(self.view, ListRetrieveViewSet)
            and answer is self.view.get_serializer_class()
        ):
            return f"The {self.view.resource}."
        return (answer.__doc__ or "").partition("\n")[0]

    def _get_examples(self, serializer: Any, direction: Direction, *args: Any) -> Any:
        """Keep only the examples of this method; overridden, since no setting does it."""
        found: dict[str, Any] = super()._get_examples(serializer, direction, *args)  # type: ignore[no-untyped-call]
        if direction == "response":
            return found
        is_patch = self.method == "PATCH"
        return {
            name: example
            for name, example in found.items()
            if example.get("summary", "").startswith(CHANGE) is is_patch
        }

    def possible_problems(self) -> Iterator[type[problems.Problem]]:
        """Yield the problems that the operation can answer with, the most specific first."""
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
        has_large_answers = self.method == "POST" and self.view.max_body_bytes == BULK_MAX_BYTES
        if has_large_answers or self.view.action in self.view.actions_with_secrets:
            yield idempotency.AnswerNotKept
        if "{" in self.path:
            yield from PROBLEMS_OF_AN_ADDRESS
        yield from PROBLEMS_OF_ALL
