"""Problems in the OpenAPI document: responses by status, with an example of each problem."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from scheduler_api.http import idempotency
from scheduler_api.http.problems import (
    CONTENT_TYPE,
    Conflict,
    DatabaseBusy,
    Problem,
    Unavailable,
)
from scheduler_api.openapi import headers
from scheduler_api.openapi.headers import TEXT, header

OURS = __name__.partition(".")[0]
# What every problem's example has.
INSTANCE = "/api/v1/periodic-tasks/"
REQUEST_ID = headers.COMPONENTS["RequestId"]["example"]

# By code: the headers that the response has besides those of all responses.
HEADERS: dict[str, dict[str, Any]] = {
    "forbidden": {"WWW-Authenticate": header("ScopeChallenge")},
    "not_authenticated": {"WWW-Authenticate": header("KeyChallenge")},
    "too_many_requests": {"Retry-After": header("RetryAfter"), **headers.RATE_LIMITS},
    "unavailable": {"Retry-After": header("RetryAfterIfKnown")},
    "database_busy": {"Retry-After": header("RetryAfterIfKnown")},
    "request_in_flight": {"Retry-After": header("RetryAfterIfKnown")},
    "answer_not_kept": {"Location": header("ExistingLocation")},
}
# Problems of many operations beside special ones with the same status.
GENERAL = {
    *("bad_request", "invalid_query", "validation_failed", "malformed_body"),
    *(Conflict.code, idempotency.RequestInFlight.code, idempotency.AnswerNotKept.code),
    *(idempotency.InvalidIdempotencyKey.code, Unavailable.code, DatabaseBusy.code),
}


def problem_responses(possible: Iterable[type[Problem]]) -> dict[str, Any]:
    """Describe each status with which an operation can refuse a request."""
    by_status = sorted(possible, key=lambda problem: problem.status_code)
    return {
        str(status): problem_response(list(group))
        for status, group in groupby(by_status, key=lambda problem: problem.status_code)
    }


def problem_response(possible: list[type[Problem]]) -> dict[str, Any]:
    """Describe the response with one status: the codes it may have, and an example of each.

    The example has the meaning of the code, as its `title`.
    """
    codes = [problem.code for problem in possible]
    listed = ", ".join(f"`{code}`" for code in codes)
    found = {**headers.REQUEST_ID}
    for code in codes:
        found |= HEADERS.get(code, {})
    return {
        "description": f"One of {listed}." if len(codes) > 1 else possible[0].title(),
        "headers": found,
        "content": {
            CONTENT_TYPE: {
                # The codes stand in the description and as names of the examples. As an enum in a
                # schema, generators of clients would make a type of each, or refuse it.
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


def example_of(problem: type[Problem]) -> dict[str, Any]:
    """Return the body of a response with this problem."""
    return {
        "type": f"urn:scheduler-api:problem:{problem.code}",
        "title": problem.title(),
        "status": problem.status_code,
        "detail": problem.title(),
        "instance": INSTANCE,
        "code": problem.code,
        "request_id": REQUEST_ID,
        "errors": [],
        **problem.example,
    }


def all_problems(problem: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """Yield each kind of problem that this package defines."""
    for kind in problem.__subclasses__():
        if kind.__module__.partition(".")[0] == OURS:
            yield kind
        yield from all_problems(kind)


def add_problems(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Add the schema of all problems, and their examples; a postprocessing hook."""
    mistake = {
        "type": "object",
        "required": ["code", "detail"],
        "properties": {
            "pointer": {**TEXT, "description": "Place in the body: a JSON pointer (RFC 6901)."},
            "parameter": {**TEXT, "description": "Name of the query parameter."},
            "code": {**TEXT, "description": "Kind of mistake, for programs; it never changes."},
            "detail": {
                **TEXT,
                "description": "What is wrong and how to correct it, for people.",
            },
        },
    }
    members = {
        "type": {**TEXT, "format": "uri", "description": "Code of the problem, as a URN."},
        "title": {**TEXT, "description": "Summary of the problem, the same for each code."},
        "status": {"type": "integer", "description": "HTTP status code."},
        "detail": {**TEXT, "description": "What is wrong with this request, for people."},
        "instance": {**TEXT, "description": "Path of the request."},
        "code": {
            **TEXT,
            "enum": sorted(problem.code for problem in all_problems()),
            "description": "Kind of problem, for programs; it never changes.",
        },
        "request_id": {**TEXT, "description": "`X-Request-Id` of the response."},
        "errors": {
            "type": "array",
            "items": mistake,
            "description": "All mistakes, each with its place; empty if the request has none.",
        },
    }
    extensions: dict[str, Any] = {}
    for problem in all_problems():
        extensions |= problem.extensions
    components = result["components"]
    components["schemas"]["Problem"] = {
        "type": "object",
        "description": "Problem details of a refused request (RFC 9457).",
        "required": list(members),
        "properties": members | extensions,
    }
    answered = codes_in(result)
    components["examples"] = {
        problem.code: {"value": example_of(problem)}
        for problem in sorted(all_problems(), key=lambda problem: problem.code)
        if problem.code in answered
    }
    return result


def codes_in(result: dict[str, Any]) -> set[str]:
    """Return the codes of the problems that some operation answers with."""
    return {
        code
        for methods in result["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
        for code in response.get("content", {}).get(CONTENT_TYPE, {}).get("examples", ())
    }
