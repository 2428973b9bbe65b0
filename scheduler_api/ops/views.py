"""For operators and their probes: is the process alive, and can it do its work?"""

from dataclasses import asdict
from datetime import UTC, datetime

from celery import current_app
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from kombu.exceptions import OperationalError

from scheduler_api.ops.beat_health import beat_health

BROKER_TIMEOUT_SECONDS = 2


def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Say how the database, the broker and beat are: 200 when the first two answer, else 503.

    Without beat, the API can still do all that it is asked for.
    """
    checks = {"database": database_answers(), "broker": broker_answers()}
    told = {name: "ok" if answers else "no answer" for name, answers in checks.items()}
    beat = tell_of_beat() if checks["database"] else {}
    return JsonResponse({**told, **beat}, status=200 if all(checks.values()) else 503)


def tell_of_beat() -> dict[str, object]:
    """Tell whether beat keeps up; without a database, nothing."""
    try:
        health = asdict(beat_health(datetime.now(UTC)))
    except Error:
        return {}
    return {"beat": health.pop("trouble") or "ok", **health}


def database_answers() -> bool:
    """Ask the database for a 1."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def broker_answers() -> bool:
    """Open a connection to the broker."""
    try:
        with current_app.connection_for_write(connect_timeout=BROKER_TIMEOUT_SECONDS) as broker:
            broker.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT_SECONDS)
    except (OperationalError, OSError):
        return False
    return True
