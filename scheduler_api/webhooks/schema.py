"""How the OpenAPI document tells of the messages that webhooks get."""

from typing import Any

from scheduler_api.runs.events import RunEvent
from scheduler_api.runs.serializers import ANSWER
from scheduler_api.webhooks.payloads import MAX_TEXT_LENGTH, PING

Kind = RunEvent.Kind
A_RUN = "#/components/schemas/RunEventData"
ERROR = {"type": "RuntimeError", "message": "as asked"}
NEVER_RAN = {
    "queued_at": None,
    "started_at": None,
    "finished_at": None,
    "queue_seconds": None,
    "duration_seconds": None,
    "worker": "",
    "attempts": 0,
}
# By kind: what has happened, and what is different of the run that stands for it.
MESSAGES: dict[str, tuple[str, dict[str, Any]]] = {
    Kind.FAILED: ("A run has failed", {"state": "failed", "error": ERROR}),
    Kind.RECOVERED: ("A run has succeeded, and the one before it had not", {}),
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
    "webhook-id": "The id of the message, the same each time that it is sent: it tells a repeat.",
    "webhook-timestamp": "When it was sent, this time, in seconds since 1970.",
    "webhook-signature": "`v1,` and the HMAC-SHA256 of id, timestamp and body, in base64; for "
    "some time after the secret was changed two, with a blank between.",
}


def add_webhooks(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Describe each message; a postprocessing hook of drf-spectacular."""
    error = {
        "type": ["object", "null"],
        "description": "The exception that it ended with; null without one.",
        "required": ["type", "message"],
        "properties": {
            "type": {"type": "string", "description": "The class of the exception."},
            "message": {
                "type": "string",
                "description": f"What it says: {MAX_TEXT_LENGTH} characters of it at most.",
            },
        },
    }
    result["components"]["schemas"]["RunEventData"] = {
        "type": "object",
        "description": "A run as a message tells of it: as on a list, and with its exception.",
        "allOf": [{"$ref": "#/components/schemas/Run"}],
        "properties": {"error": error},
        "required": ["error"],
    }
    result["webhooks"] = {
        str(kind): message(
            str(kind), summary, {"$ref": A_RUN}, {**ANSWER, "error": None, **changes}
        )
        for kind, (summary, changes) in MESSAGES.items()
    }
    of_a_ping = {
        "type": "object",
        "required": ["webhook"],
        "properties": {"webhook": {"type": "integer", "description": "The id of the webhook."}},
    }
    result["webhooks"][PING] = message(
        PING, "Somebody tries the webhook", of_a_ping, {"webhook": 1}
    )
    return result


def message(
    kind: str, summary: str, data: dict[str, Any], example: dict[str, Any]
) -> dict[str, Any]:
    """Describe one kind of message, and what its receiver is to answer."""
    body = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"type": "string", "const": kind, "description": "What has happened."},
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "When it happened.",
            },
            "data": data,
        },
    }
    value = {"type": kind, "timestamp": "2027-03-28T01:00:32.514203Z", "data": example}
    return {
        "post": {
            "operationId": f"on{''.join(map(str.capitalize, kind.replace('_', '.').split('.')))}",
            "summary": summary,
            "description": "Signed as Standard Webhooks 1.0.0 says. It may come twice, and "
            "messages may overtake each other.",
            "tags": ["Webhooks"],
            # The one who is called has no key of ours.
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
                "2XX": {"description": "It has arrived."},
                "410": {"description": "The receiver wants no more: the webhook is disabled."},
                "default": {"description": "It is sent again later."},
            },
        }
    }
