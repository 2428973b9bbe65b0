"""Short forms of responses for assertions."""

from typing import Any

from rest_framework.response import Response


def mistakes(response: Response) -> list[tuple[str | None, str]]:
    """Return the place of each mistake, as a JSON pointer or a parameter, and its code."""
    return [
        (error.get("pointer", error.get("parameter")), error["code"])
        for error in response.json()["errors"]
    ]


def refusal(response: Response) -> tuple[int, str]:
    """Return the status and code of a problem; assert that it has all members."""
    problem: dict[str, Any] = response.json()
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem.keys() >= {
        *("type", "title", "status", "detail", "instance", "code", "request_id", "errors")
    }
    assert problem["type"] == f"urn:scheduler-api:problem:{problem['code']}"
    assert problem["status"] == response.status_code
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response.headers["X-Request-Id"]
    return response.status_code, problem["code"]
