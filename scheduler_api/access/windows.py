"""Rate limit windows: the requests granted to each caller in this minute, for all processes.

docs/decisions/0007-rate-limits.md gives the reasons for the database, the minutes and the leases.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.db import connection, models, transaction

WINDOW_SECONDS = 60
LEASES_PER_WINDOW = 50
RETENTION_MINUTES = 10
CLEANUP_BATCH_SIZE = 100

# SQL that differs by database. `now` is in milliseconds since 1970, by the clock of the database:
# by their own clocks, the machines would begin the minute at different times.
DIALECTS = {
    "postgresql": {
        "now": "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS bigint)",
        "least": "LEAST",
        "greatest": "GREATEST",
    },
    "sqlite": {
        "now": "CAST((julianday('now') - 2440587.5) * 86400000 AS integer)",
        "least": "MIN",
        "greatest": "MAX",
    },
}
# A statement that waited for a lock may come from an earlier minute: it takes from the row's later
# one. A lease is a fiftieth of the limit, but at most a tenth of the remainder, so that few tokens
# lie unused in one process while another refuses.
LEASE = """
    INSERT INTO {table} AS stored (subject, minute, taken, leased)
    VALUES (%(subject)s, {now} / 60000, %(most)s, %(most)s)
    ON CONFLICT (subject) DO UPDATE SET
        minute = {greatest}(stored.minute, excluded.minute),
        taken = {taken} + {lease},
        leased = {lease}
    RETURNING minute, taken, leased, (minute + 1) * 60000 - {now}
"""
TAKEN = "CASE WHEN stored.minute < excluded.minute THEN 0 ELSE stored.taken END"
LEFT = f"%(limit)s - {TAKEN}"


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The tokens that a process may use before its next query."""

    tokens: int
    left: int
    """Number of tokens that remain in the same window."""
    ends_in: timedelta


class RateLimitWindowQuerySet(models.QuerySet["RateLimitWindow"]):
    """Query set of windows, with operations on a row that may not exist yet."""

    def lease(self, subject: str, *, limit: int) -> Grant:
        """Lease part of the remaining limit in one statement; no tokens if none remain."""
        most = max(1, limit // LEASES_PER_WINDOW)
        with connection.cursor() as cursor:
            cursor.execute(lease_statement(), {"subject": subject, "limit": limit, "most": most})
            minute, taken, leased, milliseconds = cursor.fetchone()
        if taken == leased:
            self.clear_some(before=minute - RETENTION_MINUTES)
        ends_in = timedelta(milliseconds=milliseconds)
        return Grant(tokens=leased, left=max(0, limit - taken), ends_in=ends_in)

    def clear_some(self, *, before: int) -> None:
        """Delete a few rows of past minutes, except rows that another transaction locks."""
        with transaction.atomic(savepoint=False):
            oldest = self.filter(minute__lt=before).order_by("minute")
            oldest = oldest.select_for_update(skip_locked=True)
            self.filter(pk__in=oldest.values("pk")[:CLEANUP_BATCH_SIZE]).delete()


class RateLimitWindow(models.Model):
    """The requests granted to an account or an address in the last minute it sent some."""

    subject = models.CharField(max_length=100, primary_key=True)
    # Minutes since 1970.
    minute = models.BigIntegerField(db_index=True)
    taken = models.BigIntegerField()
    # The part of `taken` leased by the last statement.
    leased = models.BigIntegerField()

    objects = RateLimitWindowQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.taken} to {self.subject}"


def lease_statement() -> str:
    """Return the SQL of a lease in the dialect of this process's database."""
    return lease_sql(**DIALECTS[connection.vendor])


@cache
def lease_sql(*, now: str, least: str, greatest: str) -> str:
    """Return the SQL of a lease in one dialect."""
    lease = f"{greatest}(0, {least}({LEFT}, %(most)s, {greatest}(1, ({LEFT}) / 10)))"
    return LEASE.format(
        table=RateLimitWindow._meta.db_table,
        now=now,
        greatest=greatest,
        taken=TAKEN,
        lease=lease,
    )
