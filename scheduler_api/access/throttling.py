"""Rate limits: requests per minute of a caller; 429 beyond the limit.

The database counts (`windows`), because all processes on all machines share it. Each process
leases several tokens at a time, so that few requests query the database.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil
from threading import Lock
from time import monotonic
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from scheduler_api.access.permissions import account_of
from scheduler_api.access.windows import WINDOW_SECONDS, RateLimitWindow
from scheduler_api.http.client_address import client_address
from scheduler_api.http.problems import TooManyRequests

MAX_LEASES = 10_000


@dataclass(frozen=True, kw_only=True)
class LimitState:
    """The state of a caller's limit after one request."""

    is_granted: bool
    policy: str
    limit: int
    remaining: int
    seconds_left: int

    def headers(self) -> dict[str, str]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers-10.

        The remaining number is an estimate: the process does not see what other processes have
        granted since its last query.
        """
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.seconds_left}',
        }


@dataclass(kw_only=True)
class Lease:
    """The tokens that this process holds for one caller until the minute ends."""

    lock: Lock = field(default_factory=Lock)
    limit: int = 0
    tokens: int = 0
    remaining_in_window: int = 0
    ends_at_seconds: float = 0

    def must_be_renewed(self, *, limit: int) -> bool:
        """Return whether to query the database; pointless in a minute with no tokens left."""
        is_exhausted = not self.tokens and self.remaining_in_window
        return bool(is_exhausted or limit != self.limit or monotonic() >= self.ends_at_seconds)

    def renew(self, subject: str, *, limit: int) -> None:
        """Lease tokens from the database; unused ones are lost."""
        # Read before the database reads its clock, so that the lease does not outlast the minute.
        started_at_seconds = monotonic()
        grant = RateLimitWindow.objects.lease(subject, limit=limit)
        self.limit, self.tokens, self.remaining_in_window = limit, grant.tokens, grant.left
        self.ends_at_seconds = started_at_seconds + grant.ends_in.total_seconds()


class Limiter:
    """The leases of all callers under one policy, at most MAX_LEASES."""

    def __init__(self, policy: str) -> None:
        self.policy = policy
        self.leases: OrderedDict[str, Lease] = OrderedDict()
        self._lock = Lock()

    def take(self, caller: object, *, limit: int) -> LimitState:
        """Use a token of this caller if one is left; safe to call from several threads."""
        subject = f"{self.policy} {caller}"
        lease = self.lease_of(subject)
        with lease.lock:  # one thread queries the database, the caller's other threads wait
            if lease.must_be_renewed(limit=limit):
                lease.renew(subject, limit=limit)
            is_granted = lease.tokens > 0
            lease.tokens -= is_granted
            return LimitState(
                is_granted=is_granted,
                policy=self.policy,
                limit=limit,
                remaining=lease.tokens + lease.remaining_in_window,
                seconds_left=max(1, ceil(lease.ends_at_seconds - monotonic())),
            )

    def lease_of(self, subject: str) -> Lease:
        """Return the lease of a caller; drop the least recently used one beyond MAX_LEASES."""
        with self._lock:
            lease = self.leases.setdefault(subject, Lease())
            self.leases.move_to_end(subject)
            if len(self.leases) > MAX_LEASES:
                self.leases.popitem(last=False)
            return lease


ACCOUNTS = Limiter("account")
ADDRESSES = Limiter("address")


class WithinRateLimit(BasePermission):
    """Refuse an account that has used up its requests of this minute.

    This is a permission because REST framework checks throttles last: here, a request that lacks a
    scope counts, too. The check runs before the action and outside its transaction, so that a used
    token stays used and no transaction holds its row lock.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True or raise TooManyRequests; add the rate limit headers to each response."""
        account = account_of(request)
        own = account.requests_per_minute
        if limit := settings.RATE_LIMIT if own is None else own:
            state = ACCOUNTS.take(account.pk, limit=limit)
            request.response_headers = state.headers()  # type: ignore[attr-defined]
            if not state.is_granted:
                raise refusal(
                    state,
                    f"The account {account.name!r} has used up its requests of this minute.",
                )
        return True


def refuse_failing(request: Request) -> None:
    """Raise TooManyRequests if an address has failed to authenticate too often."""
    if limit := settings.FAILED_AUTHENTICATION_LIMIT:
        state = ADDRESSES.take(client_address(request), limit=limit)
        if not state.is_granted:
            raise refusal(state, "Too many requests from this address had no valid key.")


def refuse_further_sign_ins(request: HttpRequest) -> None:
    """Count a sign-in to the admin; raise TooManyRequests if its address has had too many.

    Unlike a key, a password can be guessed: this counts each attempt, and before it is checked.
    """
    if limit := settings.FAILED_AUTHENTICATION_LIMIT:
        state = ADDRESSES.take(client_address(request), limit=limit)
        if not state.is_granted:
            raise refusal(state, "Too many sign-ins from this address.")


def refusal(state: LimitState, detail: str) -> TooManyRequests:
    """Return the refusal of a request beyond the limit."""
    return TooManyRequests(
        f"{detail} Wait for the number of seconds in Retry-After.",
        headers={**state.headers(), "Retry-After": str(state.seconds_left)},
    )
