"""A POST with an `Idempotency-Key` has one effect, however often it is sent.

The answer is stored in the transaction of the effect, so there is never one without the other,
and a repeat is answered with it for 24 hours. A key belongs to the account that sent it, and to
one request: its method, address and body. A refusal has had no effect: it is not stored, and
the request may be sent again under the same key.

Two at the same time: PostgreSQL holds a lock on the key until the transaction ends, also by a
crash, and whoever comes meanwhile is told to ask again. On SQLite, which lets one transaction
write at a time, he waits for the first, and is answered as it was.
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


class InvalidIdempotencyKey(Problem):
    """An Idempotency-Key has 1 to 255 visible ASCII characters, such as a UUID."""

    status_code = 400
    code = "invalid_idempotency_key"


class RequestInFlight(Problem):
    """A request with this Idempotency-Key is being carried out; send it again for its answer."""

    status_code = 409
    code = "request_in_flight"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class AnswerNotKept(Problem):
    """This was done before, and is at Location; its secret was told once, and is not kept."""

    status_code = 409
    code = "answer_not_kept"
    example = {"instance": "/api/v1/api-keys/"}


class IdempotencyKeyReused(Problem):
    """This Idempotency-Key was sent with another path, query or body; take a new one."""

    status_code = 422
    code = "idempotency_key_reused"


def applies_to(request: Request) -> bool:
    """Tell whether a request is to have one effect; raise InvalidIdempotencyKey."""
    return request.method == "POST" and HEADER in request.headers and bool(read_key(request))


def answer_once(
    request: Request, carry_out: Callable[[], HttpResponse], *, has_secret: bool
) -> HttpResponse:
    """Carry out a request and keep its answer; or answer as before, if that was done before.

    `carry_out` returns a rendered answer; what it raises undoes all, and is raised. Of an answer
    that has a secret the body is not stored, and a repeat is refused.
    """
    account_id, key, now = cast(int, request.user.pk), read_key(request), datetime.now(UTC)
    # A body that arrives slowly holds up nobody: it is read before the transaction.
    fingerprint = fingerprint_of(request)
    with transaction.atomic():
        is_alone = lock(account_id, key)
        answers = IdempotentResponse.objects.filter(service_account_id=account_id, key=key)
        if kept := answers.fresh(at=now).first():
            return replay(kept, fingerprint, has_secret=has_secret)
        if not is_alone:
            raise RequestInFlight
        response = carry_out()
        if is_success(response.status_code):
            answers.expired(at=now).delete()
            answers.create(
                service_account_id=account_id,
                key=key,
                fingerprint=fingerprint,
                status=response.status_code,
                headers=dict(response.items()),
                body="" if has_secret else response.content.decode(),
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
    """Return what tells this request from another under the same key."""
    address = request.get_full_path_info()  # with its slash, whether that was sent or not
    first_line = f"{request.method} {address}\n".encode()
    return hashlib.sha256(first_line + read_body(request)).hexdigest()


def lock(account_id: int, key: str) -> bool:
    """Hold a key until the transaction ends; False if another transaction holds it."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock_number(account_id, key)])
        is_ours: bool = cursor.fetchone()[0]
        return is_ours


def lock_number(account_id: int, key: str) -> int:
    """Return the 64 bits by which PostgreSQL knows the lock."""
    digest = hashlib.sha256(f"{HEADER} {account_id} {key}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def replay(kept: IdempotentResponse, fingerprint: str, *, has_secret: bool) -> HttpResponse:
    """Return the answer that was kept; raise if it was to another request, or has a secret."""
    if kept.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    if has_secret:
        raise AnswerNotKept(headers={"Location": kept.headers["Location"]})
    response = kept.as_response()
    response[REPLAYED] = "true"
    return response
