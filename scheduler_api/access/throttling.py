"""How many requests a caller may send in a minute: 429 beyond that.

The database counts (`windows`), since all processes on all machines share it, and each process
takes some tokens at a time from it, so that few requests ask it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil
from threading import Lock
from time import monotonic
from typing import Any

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from scheduler_api.access.permissions import account_of
from scheduler_api.access.windows import WINDOW_SECONDS, RateLimitWindow
from scheduler_api.http.client_address import client_address
from scheduler_api.http.problems import TooManyRequests

MAX_LEASES = 10_000


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a caller stands with a limit, after one more request."""

    is_granted: bool
    policy: str
    limit: int
    remaining: int
    seconds_left: int

    def headers(self) -> dict[str, str]:
        """Tell it as draft-ietf-httpapi-ratelimit-headers-10 has it.

        What remains is a guess: the process does not see what others have granted since it
        last asked the database.
        """
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.seconds_left}',
        }


@dataclass(kw_only=True)
class Lease:
    """The tokens that this process holds for one caller, until the minute is over."""

    lock: Lock = field(default_factory=Lock)
    limit: int = 0
    tokens: int = 0
    left_to_others: int = 0
    ends_at_seconds: float = 0

    def must_be_renewed(self, *, limit: int) -> bool:
        """Tell whether to ask the database; in a minute that has nothing left, there is no use."""
        is_used_up = not self.tokens and self.left_to_others
        return bool(is_used_up or limit != self.limit or monotonic() >= self.ends_at_seconds)

    def renew(self, subject: str, *, limit: int) -> None:
        """Take tokens from the database; those that were not used are lost."""
        # Read before the database reads its clock: the lease does not outlast the minute.
        asked_at_seconds = monotonic()
        grant = RateLimitWindow.objects.lease(subject, limit=limit)
        self.limit, self.tokens, self.left_to_others = limit, grant.tokens, grant.left
        self.ends_at_seconds = asked_at_seconds + grant.ends_in.total_seconds()


class Limiter:
    """One policy: the leases of its callers, and how many they may be."""

    def __init__(self, policy: str) -> None:
        self.policy = policy
        self.leases: OrderedDict[str, Lease] = OrderedDict()
        self._lock = Lock()

    def take(self, caller: object, *, limit: int) -> Standing:
        """Use a token of this caller, if there is one left; threads may do so at the same time."""
        subject = f"{self.policy} {caller}"
        lease = self.lease_of(subject)
        with lease.lock:  # one asks the database, the others of this caller wait for the answer
            if lease.must_be_renewed(limit=limit):
                lease.renew(subject, limit=limit)
            is_granted = lease.tokens > 0
            lease.tokens -= is_granted
            return Standing(
                is_granted=is_granted,
                policy=self.policy,
                limit=limit,
                remaining=lease.tokens + lease.left_to_others,
                seconds_left=max(1, ceil(lease.ends_at_seconds - monotonic())),
            )

    def lease_of(self, subject: str) -> Lease:
        """Return what is held for a caller; forget who was not heard of for the longest time."""
        with self._lock:
            lease = self.leases.setdefault(subject, Lease())
            self.leases.move_to_end(subject)
            if len(self.leases) > MAX_LEASES:
                self.leases.popitem(last=False)
            return lease


ACCOUNTS = Limiter("account")
ADDRESSES = Limiter("address")


class WithinRateLimit(BasePermission):
    """Lets in an account that has not used up its requests of this minute.

    A permission, since REST framework asks its throttles last: here, what a scope refuses
    counts, too. It is asked before the action, and outside of its transaction: what is taken
    stays taken, and is locked by nobody.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raise TooManyRequests; tell how the account stands with each answer."""
        account = account_of(request)
        own = account.requests_per_minute
        if limit := settings.RATE_LIMIT if own is None else own:
            standing = ACCOUNTS.take(account.pk, limit=limit)
            request.answer_headers = standing.headers()  # type: ignore[attr-defined]
            if not standing.is_granted:
                raise refusal(standing, f"The account {account.name!r} has used up its requests.")
        return True


def refuse_failing(request: Request) -> None:
    """Raise TooManyRequests where an address fails to authenticate again and again."""
    if limit := settings.FAILED_AUTHENTICATION_LIMIT:
        standing = ADDRESSES.take(client_address(request), limit=limit)
        if not standing.is_granted:
            raise refusal(standing, "Too many requests from this address had no valid key.")


def refusal(standing: Standing, detail: str) -> TooManyRequests:
    """Return the refusal of one request too many."""
    return TooManyRequests(
        f"{detail} Retry-After says in how many seconds the next minute begins.",
        headers={**standing.headers(), "Retry-After": str(standing.seconds_left)},
    )
