"""What time it is: the database's clock, so that all beats agree."""

from datetime import UTC, datetime

from django.db import connection


def now() -> datetime:
    """Return the time, in UTC: that of PostgreSQL, and on SQLite this machine's."""
    if connection.vendor != "postgresql":
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (told,) = cursor.fetchone()
    time: datetime = told
    return time
