"""Health endpoints for operators and probes: `/healthz` (liveness) and `/readyz` (readiness)."""

from dataclasses import asdict
from datetime import UTC, datetime

from celery import current_app
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from kombu.exceptions import OperationalError

from scheduler_api.http.read_only import read_only
from scheduler_api.http.rendering import is_for_people
from scheduler_api.ops.beat_health import beat_health
from scheduler_api.ops.queue_health import queue_problems

BROKER_TIMEOUT_SECONDS = 2


def respond(request: HttpRequest, body: dict[str, object], *, status: int = 200) -> JsonResponse:
    """Return a body as JSON, with lines for people."""
    response = JsonResponse(
        body, status=status, json_dumps_params={"indent": 2 if is_for_people(request) else None}
    )
    if is_for_people(request):
        response.content += b"\n"
    return response


@read_only
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200: this process is alive."""
    return respond(request, {"status": "ok"})


@read_only
def readyz(request: HttpRequest) -> JsonResponse:
    """Report on the database, the broker, beat and queues: 200 if the first two answer, else 503.

    The others do not affect the status: without them, the API still answers every request.
    """
    checks = {"database": database_answers(), "broker": broker_answers()}
    body = {name: "ok" if answers else "no answer" for name, answers in checks.items()}
    beat = beat_report() if checks["database"] else {}
    return respond(request, {**body, **beat}, status=200 if all(checks.values()) else 503)


def beat_report() -> dict[str, object]:
    """Return the health of beat and of the queues as JSON; empty if the database fails."""
    now = datetime.now(UTC)
    try:
        health = asdict(beat_health(now))
        queues = " ".join(queue_problems(now))
    except Error:
        return {}
    return {"beat": health.pop("problem") or "ok", **health, "queues": queues or "ok"}


def database_answers() -> bool:
    """Run a query; return whether the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def broker_answers() -> bool:
    """Open a connection; return whether the broker answers."""
    try:
        with current_app.connection_for_write(connect_timeout=BROKER_TIMEOUT_SECONDS) as broker:
            broker.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT_SECONDS)
    except (OperationalError, OSError):
        return False
    return True
