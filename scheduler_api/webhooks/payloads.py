"""Payloads: the bodies of webhook messages."""

import json
from datetime import datetime
from typing import Any

from scheduler_api.http.fields import in_utc
from scheduler_api.runs.models import Run
from scheduler_api.runs.serializers import RunSerializer

PING = "webhook.ping"
# Long texts are cut to this, because a message should be small; the ledger has the whole text.
MAX_TEXT_LENGTH = 2000


def payload_of(kind: str, data: dict[str, Any], *, at: datetime) -> str:
    """Return a message as compact JSON in ASCII, so that every receiver sees the same bytes."""
    message = {"type": kind, "timestamp": in_utc(at), "data": data}
    return json.dumps(message, separators=(",", ":"))


def run_data(run: Run) -> dict[str, Any]:
    """Return a run as in a list, plus its error, without arguments and result."""
    data: dict[str, Any] = RunSerializer(run).data
    error = {"type": run.error_type, "message": run.error_message[:MAX_TEXT_LENGTH]}
    return {
        **data,
        "reason": data["reason"][:MAX_TEXT_LENGTH],
        "error": error if run.error_type else None,
    }
