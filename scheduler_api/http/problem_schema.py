"""How problems are described in the OpenAPI document, with an example of each."""

from collections.abc import Iterator, Mapping
from typing import Any

from scheduler_api.http.problems import CONTENT_TYPE, Problem

OURS = __name__.partition(".")[0]
TEXT = {"type": "string"}
WHERE_IT_IS = "/api/v1/periodic-tasks/"

# By code: what an example has beyond the title.
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "bad_request": {"detail": "Invalid path."},
    "body_too_large": {"detail": "Send at most 262144 bytes."},
    "invalid_query": {
        "detail": "page_size: Must be a whole number from 1 to 500.",
        "errors": [
            {
                "code": "invalid",
                "detail": "Must be a whole number from 1 to 500.",
                "parameter": "page_size",
            }
        ],
    },
    "length_required": {"detail": "Send the body with a Content-Length, not in chunks."},
    "malformed_body": {
        "detail": "The body is not JSON: Expecting value at line 1, column 10.",
    },
    "name_taken": {"detail": "The periodic task 1 has the name 'Import contacts'."},
    "not_acceptable": {"detail": "Accept application/json, and application/problem+json."},
    "not_found": {"instance": "/api/v1/periodic-tasks/7/"},
    "schedule_exists": {
        "detail": "Use the one with the id 1.",
        "instance": "/api/v1/solar-schedules/",
    },
    "schedule_in_use": {
        "detail": (
            "It is used by Import contacts. Give these another schedule, or delete them, first."
        ),
        "instance": "/api/v1/interval-schedules/1/",
        "used_by": ["Import contacts"],
    },
    "unavailable": {"detail": "The database does not answer."},
    "unsupported_media_type": {
        "detail": 'Unsupported media type "text/plain" in request. Send application/json.',
    },
    "validation_failed": {
        "detail": "/schedule/every: Ensure this value is greater than or equal to 1.",
        "errors": [
            {
                "code": "min_value",
                "detail": "Ensure this value is greater than or equal to 1.",
                "pointer": "/schedule/every",
            }
        ],
    },
}
# By code: the headers that an answer may have.
HEADERS: Mapping[str, Mapping[str, Any]] = {
    "unavailable": {
        "Retry-After": {
            "description": "After how many seconds to try again.",
            "schema": {"type": "integer"},
        }
    }
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
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Problem"},
                        {"type": "object", "properties": {"code": {"enum": codes}}},
                    ]
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
        **EXAMPLES.get(problem.code, {}),
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
    extensions = {
        "used_by": {
            "type": "array",
            "items": TEXT,
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
