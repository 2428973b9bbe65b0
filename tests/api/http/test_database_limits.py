"""A request that the database keeps waiting is answered with 503 and Retry-After in time."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created
from rest_framework.response import Response

from scheduler_api.http.database_limits import set_limits
from scheduler_api.http.models import IdempotentResponse
from scheduler_api.schedules import actions
from tests.api.conftest import Other
from tests.api.http.responses import refusal
from tests.api.http.test_dry_run import everything_stored
from tests.api.schedules.bodies import INTERVAL, INTERVALS
from tests.api.writes import WRITES, prepare
from tests.client import ContractClient
from tests.contract.document import Operation

both_databases = pytest.mark.both_databases
with_real_transactions = pytest.mark.django_db(transaction=True)

ONCE = {"Idempotency-Key": "once"}
BUSY = (503, "database_busy")
AUDIT, STORED_RESPONSE = "scheduler_api_auditentry", "scheduler_api_idempotentresponse"


# --- Every operation --------------------------------------------------------------------------


@contextmanager
def aborted_at(table: str) -> Iterator[None]:
    """Abort the transaction that inserts into a table, as a timeout of the database does."""

    def execute(
        run: Callable[..., Any], sql: str, values: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if not sql.startswith(f'INSERT INTO "{table}"'):
            return run(sql, values, many, context)
        if connection.vendor == "sqlite":
            cause = sqlite3.OperationalError("database is locked")
            cause.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise OperationalError("database is locked") from cause
        run("SET LOCAL statement_timeout = '1ms'", None, False, context)
        return run("SELECT pg_sleep(60)", None, False, context)

    with connection.execute_wrapper(execute):
        yield


@both_databases
@pytest.mark.parametrize(
    ("operation", "table"),
    [
        *(pytest.param(each.values[0], AUDIT, id=each.id) for each in WRITES),
        *(
            pytest.param(each.values[0], STORED_RESPONSE, id=f"{each.id}, its stored response")
            for each in WRITES
            if each.values[0].method == "post"
        ),
    ],
)
def test_aborted_write_changes_nothing_and_can_be_repeated(
    api: ContractClient, operation: Operation, table: str
):
    call = prepare(api, operation)
    send, arguments = call.func, call.args
    before = everything_stored()

    with aborted_at(table):
        refused = send(*arguments, headers=ONCE)

    assert refusal(refused) == BUSY
    assert refused.headers["Retry-After"] == "1"
    assert everything_stored() == before
    repeated = send(*arguments, headers=ONCE)
    assert repeated.status_code < 300
    assert "Idempotent-Replayed" not in repeated.headers
    assert IdempotentResponse.objects.count() == (operation.method == "post")


# --- Each limit, on PostgreSQL ------------------------------------------------------------------


@pytest.fixture
def limited(settings: Any, transactional_db: None) -> Iterator[None]:
    """Limit the connections of this process like those of the API, to tenths of a second."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's test database is one connection's; the journeys have the test")
    settings.LOCK_TIMEOUT_SECONDS = 0.1
    settings.STATEMENT_TIMEOUT_SECONDS = 0.5
    settings.IDLE_IN_TRANSACTION_TIMEOUT_SECONDS = 0.2
    connection.close()
    connection_created.connect(set_limits)
    yield
    connection_created.disconnect(set_limits)
    connection.close()


@with_real_transactions
@pytest.mark.usefixtures("limited")
def test_request_that_waits_for_a_lock_is_refused(api: ContractClient, other: Other):
    assert other is not None
    address = api.post(INTERVALS, INTERVAL).headers["Location"]
    other.execute("LOCK TABLE django_celery_beat_intervalschedule IN EXCLUSIVE MODE")

    def answers() -> list[Response]:
        created = api.post(INTERVALS, {**INTERVAL, "every": 6}, headers=ONCE)
        return [created, api.patch(address, {"every": 7}), api.delete(address)]

    assert [refusal(response) for response in answers()] == [BUSY] * 3
    assert api.get(address).json()["every"] == INTERVAL["every"]
    other.rollback()
    assert [response.status_code for response in answers()] == [201, 200, 204]


@with_real_transactions
@pytest.mark.usefixtures("limited")
def test_slow_statement_is_refused(api: ContractClient, monkeypatch: pytest.MonkeyPatch):
    def run_slowly(*_: object, **__: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")

    with monkeypatch.context() as patch:
        patch.setattr(actions, "store", run_slowly)
        assert refusal(api.post(INTERVALS, INTERVAL, headers=ONCE)) == BUSY

    assert api.post(INTERVALS, INTERVAL, headers=ONCE).status_code == 201


@with_real_transactions
@pytest.mark.usefixtures("limited")
def test_idle_transaction_is_refused_and_its_locks_are_released(
    api: ContractClient, monkeypatch: pytest.MonkeyPatch, other: Other
):
    address = api.post(INTERVALS, INTERVAL).headers["Location"]
    store = actions.store

    def store_and_idle(*args: Any, **options: Any) -> None:
        store(*args, **options)
        wait_for_end_of(connection.connection.info.backend_pid, other)

    def answers() -> list[Response]:
        created = api.post(INTERVALS, {**INTERVAL, "every": 6}, headers=ONCE)
        return [created, api.patch(address, {"every": 7})]

    with monkeypatch.context() as patch:
        patch.setattr(actions, "store", store_and_idle)
        refused = answers()

    assert [refusal(response)[0] for response in refused] == [503, 503]
    assert all(response.headers["Retry-After"] for response in refused)
    assert api.get(address).json()["every"] == INTERVAL["every"]
    assert [response.status_code for response in answers()] == [201, 200]


def wait_for_end_of(pid: int, other: Other) -> None:
    """Return once PostgreSQL has ended a session."""
    assert other is not None
    deadline = time.monotonic() + 60
    while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
        other.rollback()
        assert time.monotonic() < deadline
    other.rollback()


@pytest.mark.parametrize(
    "cause",
    [psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure],
    ids=lambda cause: cause.__name__,
)
def test_transaction_that_loses_against_another_can_be_repeated(
    api: ContractClient, monkeypatch: pytest.MonkeyPatch, cause: type[Exception]
):
    def lose(*_: object, **__: object) -> None:
        raise OperationalError("lost") from cause("lost")

    monkeypatch.setattr(actions, "store", lose)

    assert refusal(api.post(INTERVALS, INTERVAL)) == BUSY
