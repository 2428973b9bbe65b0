"""The messages that webhooks receive, in the OpenAPI document."""

from typing import Any

from scheduler_api.openapi.inheritance import extending
from scheduler_api.runs.events import RunEvent
from scheduler_api.runs.serializers import ANSWER
from scheduler_api.webhooks.payloads import MAX_TEXT_LENGTH, PING

Kind = RunEvent.Kind
RUN_REFERENCE = "#/components/schemas/RunEventData"
ERROR = {"type": "RuntimeError", "message": "Connection refused"}
NEVER_RAN = {
    "queued_at": None,
    "started_at": None,
    "finished_at": None,
    "queue_seconds": None,
    "duration_seconds": None,
    "worker": "",
    "attempts": 0,
}
# By kind: the summary, and the fields of the example run that differ from ANSWER.
MESSAGES: dict[str, tuple[str, dict[str, Any]]] = {
    Kind.FAILED: ("A run failed", {"state": "failed", "error": ERROR}),
    Kind.RECOVERED: ("A run succeeded after a failure", {}),
    Kind.MISSED: (
        "A slot was missed",
        {**NEVER_RAN, "state": "missed", "reason": "It was 120 s late."},
    ),
    Kind.LOST: ("A run was lost", {"state": "lost", "reason": "Its worker gave no sign."}),
    Kind.PAUSED: (
        "A periodic task was paused after failures",
        {"state": "failed", "error": ERROR},
    ),
}
HEADERS = {
    "webhook-id": "ID of the message, the same for each attempt: use it to detect duplicates.",
    "webhook-timestamp": "Time of this attempt, in seconds since 1970-01-01T00:00:00Z.",
    "webhook-signature": "`v1,` and the base64 HMAC-SHA256 of ID, timestamp and body. After a "
    "rotation of the secret, there are two signatures for a while, separated by a space.",
}


def add_webhooks(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Describe the webhook messages; a postprocessing hook of drf-spectacular."""
    error = {
        "type": ["object", "null"],
        "description": "Exception that ended the run; null without one.",
        "required": ["type", "message"],
        "properties": {
            "type": {"type": "string", "description": "Class of the exception."},
            "message": {
                "type": "string",
                "description": f"Message of the exception, cut to {MAX_TEXT_LENGTH} characters.",
            },
        },
    }
    result["components"]["schemas"]["RunEventData"] = extending(
        "Run",
        {
            "type": "object",
            "description": "The run of an event, with the exception that ended it.",
            "properties": {"error": error},
            "required": ["error"],
        },
    )
    result["webhooks"] = {
        str(kind): describe_message(
            str(kind), summary, {"$ref": RUN_REFERENCE}, {**ANSWER, "error": None, **changes}
        )
        for kind, (summary, changes) in MESSAGES.items()
    }
    ping_data = {
        "type": "object",
        "required": ["webhook"],
        "properties": {"webhook": {"type": "integer", "description": "ID of the webhook."}},
    }
    result["webhooks"][PING] = describe_message(
        PING, "A test message was requested", ping_data, {"webhook": 1}
    )
    return result


def describe_message(
    kind: str, summary: str, data: dict[str, Any], example: dict[str, Any]
) -> dict[str, Any]:
    """Describe one kind of message, and the responses that its receiver may give."""
    body = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"type": "string", "const": kind, "description": "Kind of event."},
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "Time of the event.",
            },
            "data": data,
        },
    }
    value = {"type": kind, "timestamp": "2027-03-28T01:00:32.514203Z", "data": example}
    return {
        "post": {
            "operationId": f"on{''.join(map(str.capitalize, kind.replace('_', '.').split('.')))}",
            "summary": summary,
            "description": "Signed according to Standard Webhooks 1.0.0. A message may arrive "
            "more than once, and messages may arrive out of order.",
            "tags": ["Webhooks"],
            # The receiver has no key of this API.
            "security": [],
            "parameters": [
                {
                    "name": name,
                    "in": "header",
                    "required": True,
                    "description": text,
                    "schema": {"type": "string"},
                }
                for name, text in HEADERS.items()
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": body,
                        "examples": {kind: {"summary": summary, "value": value}},
                    }
                },
            },
            "responses": {
                "2XX": {"description": "The message is delivered."},
                "410": {"description": "The webhook is disabled."},
                "default": {"description": "The message is sent again later."},
            },
        }
    }
