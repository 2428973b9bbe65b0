"""Limits on how long a request may wait for the database, or make others wait.

Only the API's connections have them: beat, workers and migrations may wait longer. `project.wsgi`
calls `limit_connections`; a project with a WSGI module of its own calls it there.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

POSTGRESQL_LIMITS = (
    "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false), "
    "set_config('idle_in_transaction_session_timeout', %s, false)"
)
# https://www.postgresql.org/docs/current/errcodes-appendix.html
TRANSIENT_SQLSTATES = frozenset(
    {
        "25P03",  # idle_in_transaction_session_timeout
        "25P04",  # transaction_timeout
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "55P03",  # lock_not_available: lock_timeout
        "57014",  # query_canceled: statement_timeout
    }
)
# https://www.sqlite.org/rescode.html: SQLITE_BUSY and SQLITE_LOCKED, the lowest byte of a code
TRANSIENT_SQLITE_CODES = frozenset({5, 6})


def limit_connections() -> None:
    """Limit each connection that this process opens from now on."""
    connection_created.connect(set_limits, dispatch_uid="scheduler_api.database_limits")


def set_limits(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Set the limits of a new connection; a receiver of Django's signal `connection_created`."""
    lock_timeout = timedelta(seconds=settings.LOCK_TIMEOUT_SECONDS)
    limits = (
        lock_timeout,
        timedelta(seconds=settings.STATEMENT_TIMEOUT_SECONDS),
        timedelta(seconds=settings.IDLE_IN_TRANSACTION_TIMEOUT_SECONDS),
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_LIMITS, [str(milliseconds(limit)) for limit in limits])
        elif connection.vendor == "sqlite":  # it has one writer at a time, and no other limit
            cursor.execute(f"PRAGMA busy_timeout = {milliseconds(lock_timeout)}")


def milliseconds(duration: timedelta) -> int:
    """Return a duration in whole milliseconds."""
    return duration // timedelta(milliseconds=1)


def is_transient(error: DatabaseError) -> bool:
    """Return whether the database gave up because of other transactions, or of a limit."""
    cause = error.__cause__
    sqlite_code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return (
        getattr(cause, "sqlstate", None) in TRANSIENT_SQLSTATES
        or sqlite_code in TRANSIENT_SQLITE_CODES
    )
