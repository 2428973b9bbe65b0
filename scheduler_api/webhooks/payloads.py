"""What a webhook is told."""

import json
from datetime import datetime
from typing import Any

from scheduler_api.http.fields import in_utc
from scheduler_api.runs.models import Run
from scheduler_api.runs.serializers import RunSerializer

PING = "webhook.ping"
# Of what may be long, so much: a message is to be small, and the ledger has all of it.
MAX_TEXT = 2000


def payload_of(kind: str, data: dict[str, Any], *, at: datetime) -> str:
    """Write a message: JSON without a blank, and in ASCII, so that its bytes are plain."""
    message = {"type": kind, "timestamp": in_utc(at), "data": data}
    return json.dumps(message, separators=(",", ":"))


def data_of(run: Run) -> dict[str, Any]:
    """Tell of a run as a list does, with the exception: without what went in and came out."""
    told: dict[str, Any] = RunSerializer(run).data
    error = {"type": run.error_type, "message": run.error_message[:MAX_TEXT]}
    return {
        **told,
        "reason": told["reason"][:MAX_TEXT],
        "error": error if run.error_type else None,
    }
