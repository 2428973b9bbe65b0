"""How problems are described in the OpenAPI document, with an example of each."""

from collections.abc import Iterator, Mapping
from typing import Any

from scheduler_api.http.problems import CONTENT_TYPE, Problem

OURS = __name__.partition(".")[0]
TEXT = {"type": "string"}
WHERE_IT_IS = "/api/v1/periodic-tasks/"

RETRY_AFTER = {
    "Retry-After": {
        "description": "After how many seconds to try again.",
        "schema": {"type": "integer"},
    }
}
RATE_LIMITS = {
    "RateLimit-Policy": {"$ref": "#/components/headers/RateLimitPolicy"},
    "RateLimit": {"$ref": "#/components/headers/RateLimit"},
}
# By code: the headers that an answer may have.
HEADERS: Mapping[str, Mapping[str, Any]] = {
    "forbidden": {
        "WWW-Authenticate": {
            "description": "The scope that the account does not have (RFC 6750).",
            "schema": {"type": "string", "pattern": "^Bearer"},
        }
    },
    "not_authenticated": {
        "WWW-Authenticate": {
            "description": "How to send a key, and what is wrong with the one sent (RFC 6750).",
            "required": True,
            "schema": {"type": "string", "pattern": "^Bearer"},
        }
    },
    "too_many_requests": {
        "Retry-After": {**RETRY_AFTER["Retry-After"], "required": True},
        **RATE_LIMITS,
    },
    "unavailable": RETRY_AFTER,
    "request_in_flight": RETRY_AFTER,
    "answer_not_kept": {
        "Location": {
            "description": "The address of what was created before.",
            "schema": {"type": "string", "format": "uri"},
        }
    },
}


def problem_response(possible: list[type[Problem]], headers: dict[str, Any]) -> dict[str, Any]:
    """Describe the answer with one status: which codes it may have, and what they mean."""
    codes = [problem.code for problem in possible]
    lines = [f"- `{problem.code}`: {problem.title()}" for problem in possible]
    for code in codes:
        headers |= HEADERS.get(code, {})
    return {
        "description": "\n".join(lines) if len(lines) > 1 else possible[0].title(),
        "headers": headers,
        "content": {
            CONTENT_TYPE: {
                # Beside the reference, not with it in `allOf`: of that, generators of clients make
                # a type for each status of each operation.
                "schema": {
                    "$ref": "#/components/schemas/Problem",
                    "properties": {"code": {"enum": codes}},
                },
                "examples": {
                    problem.code: {"summary": problem.code, "value": example_of(problem)}
                    for problem in possible
                },
            }
        },
    }


def example_of(problem: type[Problem]) -> dict[str, Any]:
    """Return an answer with this problem."""
    return {
        "type": f"urn:scheduler-api:problem:{problem.code}",
        "title": problem.title(),
        "status": problem.status_code,
        "detail": problem.title(),
        "instance": WHERE_IT_IS,
        "code": problem.code,
        "request_id": "6f1c5a52-58b2-4f0d-8d0c-1f2b7f9f4e1a",
        "errors": [],
        **problem.example,
    }


def all_problems(problem: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """Yield each kind of problem that this package defines."""
    for kind in problem.__subclasses__():
        if kind.__module__.partition(".")[0] == OURS:
            yield kind
        yield from all_problems(kind)


def add_problem(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Describe the shape of all problems; a postprocessing hook of drf-spectacular."""
    mistake = {
        "type": "object",
        "required": ["code", "detail"],
        "properties": {
            "pointer": {**TEXT, "description": "Where in the body: a JSON pointer (RFC 6901)."},
            "parameter": {**TEXT, "description": "Which query parameter."},
            "code": {**TEXT, "description": "What is wrong; never changes."},
            "detail": {**TEXT, "description": "What is wrong and how to mend it, for people."},
        },
    }
    members = {
        "type": {**TEXT, "format": "uri", "description": "The code once more, as a URN."},
        "title": {**TEXT, "description": "What all problems with this code have in common."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {**TEXT, "description": "What is wrong with this very request."},
        "instance": {**TEXT, "description": "The path that was asked for."},
        "code": {
            **TEXT,
            "enum": sorted(problem.code for problem in all_problems()),
            "description": "Which problem; never changes, so programs compare it.",
        },
        "request_id": {**TEXT, "description": "The X-Request-Id of the answer."},
        "errors": {"type": "array", "items": mistake, "description": "Each mistake by itself."},
    }
    extensions: dict[str, Any] = {}
    for problem in all_problems():
        extensions |= problem.extensions
    result["components"]["schemas"]["Problem"] = {
        "type": "object",
        "description": "Why the request was refused: problem details as in RFC 9457.",
        "required": list(members),
        "properties": members | extensions,
    }
    return result
