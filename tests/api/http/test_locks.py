"""Each body is read and parsed before any transaction, and a refused request locks nothing."""

import json
import re
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.response import Response

from scheduler_api.schedules import actions
from tests.api.conftest import Other
from tests.api.http.responses import refusal
from tests.api.periodic_tasks.examples import heartbeat
from tests.api.schedules.bodies import INTERVAL, INTERVALS, PERIODIC_TASKS, PREVIEW
from tests.api.writes import WRITES, prepare
from tests.client import ContractClient
from tests.conftest import caller
from tests.contract.document import OPERATIONS, Operation

pytestmark = pytest.mark.both_databases

LOCK = re.compile(r"FOR UPDATE(?!.* SKIP LOCKED)")
# django-celery-beat has one row here, to which none refers, and locks it at each change.
SINGLETON = "django_celery_beat_periodictasks"


class WatchedBody(BytesIO):
    """A body that records, at each read, whether a transaction is open."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.outer = open_transactions()
        self.seen: list[bool] = []

    def read(self, *size: Any) -> bytes:
        """Read; gunicorn waits here for as long as the caller sends nothing."""
        self.seen.append(open_transactions() > self.outer)
        return super().read(*size)


def open_transactions() -> int:
    """Return the depth of transactions, among them the one of the test itself."""
    return connection.in_atomic_block + len(connection.savepoint_ids)


def send_watched(
    api: ContractClient, method: str, path: str, body: object, **headers: str
) -> tuple[Response, WatchedBody]:
    """Send a request with a body that is watched."""
    content = json.dumps({} if body is None else body).encode()
    watched = WatchedBody(content)
    response = api.generic(
        method,
        path,
        content,
        content_type="application/json",
        headers=headers,
        **{"wsgi.input": watched},
    )
    return response, watched


# --- Every operation --------------------------------------------------------------------------


@pytest.mark.parametrize("operation", WRITES)
def test_body_is_read_before_any_transaction(api: ContractClient, operation: Operation):
    call = prepare(api, operation)
    method, (path, body) = operation.method.upper(), call.args
    dry_run = f"{path}{'&' if '?' in path else '?'}dry_run=true"

    for address, headers in ((dry_run, {}), (path, {"Idempotency-Key": "once"})):
        response, watched = send_watched(api, method, address, body, **headers)

        assert response.status_code < 300, response.content
        assert not any(watched.seen)
        assert bool(watched.seen) is (method != "DELETE")


def test_body_of_a_preview_is_read_before_any_transaction(api: ContractClient):
    body = {"schedule": {"type": "interval", **INTERVAL}}

    response, watched = send_watched(api, "POST", PREVIEW, body, **{"Idempotency-Key": "once"})

    assert (response.status_code, any(watched.seen)) == (200, False)


def test_every_operation_with_a_body_is_watched():
    watched = {parameter.values[0].id for parameter in WRITES} | {"previewSchedule"}

    assert {each.id for each in OPERATIONS if "requestBody" in each.described} <= watched


@pytest.mark.parametrize("operation", WRITES)
def test_only_a_deletion_locks_the_key_of_a_row(api: ContractClient, operation: Operation):
    call = prepare(api, operation)

    with CaptureQueriesContext(connection) as queries:
        assert call().status_code < 300

    # While a key is locked, nobody can insert a row that refers to it.
    locks = [each["sql"] for each in queries if LOCK.search(each["sql"])]
    assert operation.method == "delete" or not [sql for sql in locks if SINGLETON not in sql]


# --- Shared rows ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_and_answer",
    [
        ("patch", {"every": 7}, {}, (409, "schedule_of_others")),
        ("put", {"every": 7, "period": "days"}, {}, (409, "schedule_of_others")),
        ("patch", {"every": 0}, {}, (400, "validation_failed")),
        ("patch", {"every": 7}, {"If-Match": '"stale"'}, (412, "revision_mismatch")),
        ("delete", None, {}, (409, "schedule_in_use")),
        ("delete", None, {"If-Match": '"stale"'}, (412, "revision_mismatch")),
    ],
    ids=lambda values: f"{values[0]} {values[3][1]}",
)
def test_refused_change_of_a_shared_schedule_takes_no_lock(
    api: ContractClient, request_and_answer: tuple[str, Any, Any, Any]
):
    method, body, headers, answer = request_and_answer
    schedule = api.post(INTERVALS, INTERVAL).json()
    task = heartbeat()
    del task["schedule"]
    assert api.post(PERIODIC_TASKS, {**task, "interval": schedule["id"]}).status_code == 201
    stranger = caller("stranger", scopes=["schedules:read", "schedules:write"])

    with CaptureQueriesContext(connection) as queries:
        response = getattr(stranger, method)(
            f"{INTERVALS}{schedule['id']}/", body, headers=headers
        )

    assert refusal(response) == answer
    assert not [each["sql"] for each in queries if re.match("SAVEPOINT|.*FOR ", each["sql"])]


@pytest.mark.django_db(transaction=True)
def test_change_of_a_shared_schedule_holds_up_no_new_follower(
    api: ContractClient, other: Other, monkeypatch: pytest.MonkeyPatch
):
    if other is None:
        pytest.skip("SQLite locks no rows")
    address = api.post(INTERVALS, INTERVAL).headers["Location"]
    store, seen = actions.store, []

    def store_and_look(*args: Any, **options: Any) -> None:
        store(*args, **options)
        # As PostgreSQL does where a row is inserted that refers to this one.
        rows = "SELECT every FROM django_celery_beat_intervalschedule FOR KEY SHARE NOWAIT"
        seen.append(other.execute(rows).fetchone())
        other.rollback()

    monkeypatch.setattr(actions, "store", store_and_look)

    assert api.patch(address, {"every": 7}).status_code == 200
    assert seen == [(INTERVAL["every"],)]
