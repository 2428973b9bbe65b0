"""Idempotency keys: a POST with an `Idempotency-Key` takes effect once, however often it is sent.

The response is stored in the transaction of the effect, so neither exists without the other, and
replayed to repeats for 24 hours. A key belongs to one account and one request: its method, URL and
body. A refused request has no effect: its response is not stored, and the caller may send it again
with the same key.

Concurrent requests: PostgreSQL holds a lock on the key until the transaction ends, also by a
crash; a second request gets 409 with Retry-After meanwhile. SQLite allows one write transaction at
a time: the second request waits for the first and gets its response.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

from django.db import connection, transaction
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.status import is_success

from scheduler_api.http.models import IdempotentResponse
from scheduler_api.http.parsing import read_body
from scheduler_api.http.problems import Problem

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEY = re.compile("[!-~]{1,255}")  # visible ASCII
# A larger response is not stored: a batch may have a response of many megabytes, kept for a day.
MAX_STORED_BYTES = 1024 * 1024


class InvalidIdempotencyKey(Problem):
    """An Idempotency-Key must have 1 to 255 visible ASCII characters, such as a UUID."""

    status_code = 400
    code = "invalid_idempotency_key"


class RequestInFlight(Problem):
    """A request with this Idempotency-Key is in progress. Send it again for its response."""

    status_code = 409
    code = "request_in_flight"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class AnswerNotKept(Problem):
    """The request took effect before; its response had a secret or was too large to store."""

    status_code = 409
    code = "answer_not_kept"
    example = {"instance": "/api/v1/api-keys/"}


class IdempotencyKeyReused(Problem):
    """This Idempotency-Key was used with another path, query or body. Use a new key."""

    status_code = 422
    code = "idempotency_key_reused"


def applies_to(request: Request) -> bool:
    """Return whether a request has an idempotency key; raise InvalidIdempotencyKey."""
    return request.method == "POST" and HEADER in request.headers and bool(read_key(request))


def respond_once(
    request: Request, handle: Callable[[], HttpResponse], *, has_secret: bool
) -> HttpResponse:
    """Handle a request and store its response, or replay the stored response.

    `handle` returns a rendered response; an exception of it rolls back and propagates. The body of
    a response with a secret, or of a large one, is not stored, and a repeat is refused.
    """
    account_id, key, now = cast(int, request.user.pk), read_key(request), datetime.now(UTC)
    # The body is read before the transaction, so that a slow upload holds no lock.
    fingerprint = fingerprint_of(request)
    with transaction.atomic():
        has_lock = lock(account_id, key)
        stored = IdempotentResponse.objects.filter(service_account_id=account_id, key=key)
        if known := stored.fresh(at=now).first():
            return replay(known, fingerprint)
        if not has_lock:
            raise RequestInFlight
        response = handle()
        if is_success(response.status_code):
            is_stored = not has_secret and len(response.content) <= MAX_STORED_BYTES
            stored.expired(at=now).delete()
            stored.create(
                service_account_id=account_id,
                key=key,
                fingerprint=fingerprint,
                status=response.status_code,
                headers=dict(response.items()),
                body=response.content.decode() if is_stored else "",
            )
            IdempotentResponse.objects.clear_some(at=now)
        return response


def read_key(request: Request) -> str:
    """Return the caller's key; raise InvalidIdempotencyKey."""
    key: str = request.headers[HEADER]
    if not KEY.fullmatch(key):
        raise InvalidIdempotencyKey
    return key


def fingerprint_of(request: Request) -> str:
    """Return the digest that distinguishes this request from another with the same key."""
    url = request.get_full_path_info()  # with the final slash, even if the caller omitted it
    first_line = f"{request.method} {url}\n".encode()
    return hashlib.sha256(first_line + read_body(request)).hexdigest()


def lock(account_id: int, key: str) -> bool:
    """Lock a key until the transaction ends; return False if another transaction holds it."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [advisory_lock_id(account_id, key)])
        is_ours: bool = cursor.fetchone()[0]
        return is_ours


def advisory_lock_id(account_id: int, key: str) -> int:
    """Return the 64-bit number of the advisory lock of a key."""
    digest = hashlib.sha256(f"{HEADER} {account_id} {key}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def replay(stored: IdempotentResponse, fingerprint: str) -> HttpResponse:
    """Return the stored response; raise if it is of another request or was not stored."""
    if stored.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    if not stored.body:
        known = stored.headers.keys() & {"Location"}
        raise AnswerNotKept(headers={name: stored.headers[name] for name in known})
    response = stored.as_response()
    response[REPLAYED] = "true"
    return response
