"""How many requests were granted to whom in this minute: the account that all processes share.

Why in the database, by the minute, and in leases: docs/decisions/0007-rate-limits.md.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.db import connection, models, transaction

WINDOW_SECONDS = 60
LEASES_PER_WINDOW = 50
KEPT_MINUTES = 10
CLEARED_IN_PASSING = 100

# What the databases spell differently. `now` is in milliseconds since 1970, by the clock of the
# database: by their own, the machines would each begin the minute at another moment.
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
# A statement that has waited for another may come from an earlier minute: it takes from the later
# one, as the row has it. A lease is a fiftieth of the limit, but no more than a tenth of what is
# left, so that few tokens lie unused in one process while another refuses.
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
    """What a process may let through without asking again."""

    tokens: int
    left: int
    """How many others may be granted in the same window."""
    ends_in: timedelta


class RateLimitWindowQuerySet(models.QuerySet["RateLimitWindow"]):
    """What is done to all rows, or to one that may not be there."""

    def lease(self, subject: str, *, limit: int) -> Grant:
        """Grant some of what is left of the limit, in one statement; nothing when nothing is."""
        most = max(1, limit // LEASES_PER_WINDOW)
        with connection.cursor() as cursor:
            cursor.execute(statement(), {"subject": subject, "limit": limit, "most": most})
            minute, taken, leased, milliseconds = cursor.fetchone()
        if taken == leased:
            self.clear_some(before=minute - KEPT_MINUTES)
        ends_in = timedelta(milliseconds=milliseconds)
        return Grant(tokens=leased, left=max(0, limit - taken), ends_in=ends_in)

    def clear_some(self, *, before: int) -> None:
        """Delete a few rows of minutes that are over, but none that somebody else holds."""
        with transaction.atomic(savepoint=False):
            oldest = self.filter(minute__lt=before).order_by("minute")
            oldest = oldest.select_for_update(skip_locked=True)
            self.filter(pk__in=oldest.values("pk")[:CLEARED_IN_PASSING]).delete()


class RateLimitWindow(models.Model):
    """What was granted to an account, or to an address, in the last minute in which it asked."""

    subject = models.CharField(max_length=100, primary_key=True)
    # Counted from 1970.
    minute = models.BigIntegerField(db_index=True)
    taken = models.BigIntegerField()
    # The part of it that went to the process that asked last.
    leased = models.BigIntegerField()

    objects = RateLimitWindowQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.taken} to {self.subject}"


def statement() -> str:
    """Return the SQL of a lease, as the database of this process takes it."""
    return spelled(**DIALECTS[connection.vendor])


@cache
def spelled(*, now: str, least: str, greatest: str) -> str:
    """Return the SQL of a lease in a dialect."""
    lease = f"{greatest}(0, {least}({LEFT}, %(most)s, {greatest}(1, ({LEFT}) / 10)))"
    return LEASE.format(
        table=RateLimitWindow._meta.db_table,
        now=now,
        greatest=greatest,
        taken=TAKEN,
        lease=lease,
    )
