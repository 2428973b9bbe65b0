"""For operators and their probes: is the process alive, and can it do its work?"""

from celery import current_app
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from kombu.exceptions import OperationalError

BROKER_TIMEOUT_SECONDS = 2


def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Say which of the database and the broker answer: 200 when both do, else 503."""
    checks = {"database": database_answers(), "broker": broker_answers()}
    return JsonResponse(
        {name: "ok" if answers else "no answer" for name, answers in checks.items()},
        status=200 if all(checks.values()) else 503,
    )


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
