"""A repeated POST with the same Idempotency-Key has no second effect."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from django.db import connection
from rest_framework.response import Response

from scheduler_api.access.models import ApiKey, AuditEntry, ServiceAccount
from scheduler_api.http.idempotency import advisory_lock_id
from scheduler_api.http.models import IdempotentResponse
from scheduler_api.schedules import actions
from tests.api.http.responses import refusal
from tests.api.periodic_tasks.examples import heartbeat
from tests.api.schedules.bodies import (
    INTERVAL,
    INTERVALS,
    PERIODIC_TASKS,
    PREVIEW,
    no_schedules_are_stored,
)
from tests.canaries import secret_part
from tests.client import ContractClient
from tests.conftest import caller

pytestmark = pytest.mark.both_databases

KEY = "6f1c5a52-58b2-4f0d-8d0c-1f2b7f9f4e1a"
HOURLY = {"every": 1, "period": "hours"}
ACCOUNTS = "/api/v1/service-accounts/"
API_KEYS = "/api/v1/api-keys/"


def post(
    api: ContractClient, body: object = INTERVAL, *, path: str = INTERVALS, **headers: str
) -> Response:
    return api.post(path, body, headers={"Idempotency-Key": KEY} | headers)


def is_replay(response: Response) -> bool:
    return response.headers.get("Idempotent-Replayed") == "true"


def total(api: ContractClient) -> int:
    return len(api.get(INTERVALS).json()["results"])


# --- Repeats --------------------------------------------------------------------------------


def test_repeat_gets_the_same_response_without_effect(api: ContractClient):
    first = post(api)
    repeat = post(api)

    assert (first.status_code, is_replay(first)) == (201, False)
    assert (repeat.status_code, is_replay(repeat)) == (201, True)
    assert repeat.content == first.content
    assert total(api) == 1
    differing = {"X-Request-Id"}
    kept = dict(first.items()).keys() - differing
    assert kept >= {"Location", "ETag", "Content-Type"}
    assert {name: repeat.headers.get(name) for name in kept} == {
        name: first.headers[name] for name in kept
    }


def test_repeat_adds_no_audit_entry(api: ContractClient):
    post(api)
    post(api)

    assert AuditEntry.objects.count() == 1


def test_repeat_has_its_own_request_id(api: ContractClient):
    assert post(api, **{"X-Request-Id": "one"}).headers["X-Request-Id"] == "one"
    assert post(api, **{"X-Request-Id": "two"}).headers["X-Request-Id"] == "two"


def test_repeat_after_a_change_gets_the_first_response(api: ContractClient):
    first = post(api)
    assert api.patch(first.headers["Location"], {"every": 9}).status_code == 200

    assert post(api).content == first.content
    assert api.delete(first.headers["Location"]).status_code == 204
    assert post(api).content == first.content
    assert total(api) == 0


def test_each_request_without_a_key_takes_effect(api: ContractClient):
    addresses = {api.post(INTERVALS, INTERVAL).headers["Location"] for _ in range(2)}

    assert len(addresses) == 2
    assert not IdempotentResponse.objects.exists()


def test_another_key_takes_effect_again(api: ContractClient):
    addresses = {post(api, **{"Idempotency-Key": key}).headers["Location"] for key in "ab"}

    assert len(addresses) == 2


def test_repeat_may_omit_the_final_slash(api: ContractClient):
    first = post(api)

    assert is_replay(post(api, path=INTERVALS.rstrip("/")))
    assert total(api) == 1
    assert first.status_code == 201


def test_replayed_body_is_identical_to_the_byte(api: ContractClient):
    body = heartbeat(name="Zoë ☃ \U0001f600")

    first = post(api, body, path=PERIODIC_TASKS)

    assert first.json()["name"] == body["name"]
    assert post(api, body, path=PERIODIC_TASKS).content == first.content


def test_post_without_a_body_accepts_a_key(api: ContractClient):
    account = ServiceAccount.objects.create(name="leaver", scopes=[])
    key, _ = ApiKey.issue(account)
    path = f"{API_KEYS}{key.pk}/revoke/"

    first = api.post(path, headers={"Idempotency-Key": KEY})
    repeat = api.post(path, headers={"Idempotency-Key": KEY})

    assert first.status_code == 200
    assert is_replay(repeat)
    assert repeat.content == first.content


def test_post_that_only_reads_accepts_a_key(api: ContractClient):
    body = {"schedule": {"type": "interval", **INTERVAL}}

    first = post(api, body, path=PREVIEW)

    assert first.status_code == 200
    assert post(api, body, path=PREVIEW).content == first.content


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_other_methods_ignore_the_header(api: ContractClient, method: str):
    address = api.post(INTERVALS, INTERVAL).headers["Location"]

    for _ in range(2):
        response = getattr(api, method)(address, headers={"Idempotency-Key": "ö"})
        assert "idempotency" not in response.content.decode()
    assert not IdempotentResponse.objects.exists()


def test_post_to_a_get_resource_is_refused_with_a_key(api: ContractClient):
    assert refusal(post(api, path="/api/v1/tasks/")) == (405, "method_not_allowed")


# --- Keys and requests ----------------------------------------------------------------------


@pytest.mark.parametrize("key", ["a", "!", "~", '"quoted"', "a,b", "x" * 255])
def test_key_of_visible_ascii_is_accepted(api: ContractClient, key: str):
    assert post(api, **{"Idempotency-Key": key}).status_code == 201
    assert is_replay(post(api, **{"Idempotency-Key": key}))


@pytest.mark.parametrize("key", ["", " ", "a b", "a\t", "ö", "x" * 256, "a\x7f"])
def test_invalid_key_is_refused(api: ContractClient, key: str):
    response = post(api, **{"Idempotency-Key": key})

    assert refusal(response) == (400, "invalid_idempotency_key")
    assert no_schedules_are_stored()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (INTERVALS, HOURLY),
        (INTERVALS, dict(reversed(INTERVAL.items()))),
        (PREVIEW, INTERVAL),
        (ACCOUNTS, INTERVAL),
    ],
    ids=["body", "order", "path", "resource"],
)
def test_key_with_another_request_is_refused(api: ContractClient, path: str, body: object):
    post(api)

    response = post(api, body, path=path)

    assert refusal(response) == (422, "idempotency_key_reused")
    assert not is_replay(response)
    assert total(api) == 1


def test_key_of_another_account_is_independent(api: ContractClient):
    other = caller("other", scopes=["schedules:write"])

    mine, theirs = post(api), post(other, HOURLY)

    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.headers["Location"] != theirs.headers["Location"]
    assert is_replay(post(other, HOURLY))


def test_repeat_with_another_api_key_of_the_account_is_replayed(api: ContractClient):
    first = post(api)
    _, text = ApiKey.issue(ServiceAccount.objects.get(name="tests"))

    repeat = post(api, Authorization=f"Bearer {text}")

    assert is_replay(repeat)
    assert repeat.content == first.content


def test_repeat_without_permission_is_refused(api: ContractClient):
    post(api)
    ServiceAccount.objects.update(scopes=["schedules:read"])

    assert refusal(post(api)) == (403, "forbidden")


# --- Refusals -------------------------------------------------------------------------------


def test_refusal_is_not_stored(api: ContractClient):
    assert refusal(post(api, {"every": 0, "period": "days"})) == (400, "validation_failed")

    response = post(api)

    assert (response.status_code, is_replay(response)) == (201, False)
    assert is_replay(post(api))


@pytest.mark.parametrize(
    ("body", "content_type", "answer"),
    [
        (b'{"every": }', "application/json", (400, "malformed_body")),
        (b"every", "text/plain", (415, "unsupported_media_type")),
        (b" " * (256 * 1024 + 1), "application/json", (413, "body_too_large")),
        (b" " * (20 * 1024 * 1024), "application/json", (413, "body_too_large")),
    ],
    ids=["not JSON", "not said to be JSON", "a byte too many", "20 MiB"],
)
def test_invalid_body_is_refused_with_a_key_as_without(
    api: ContractClient, body: bytes, content_type: str, answer: tuple[int, str]
):
    headers = {"Idempotency-Key": KEY}

    response = api.generic("POST", INTERVALS, body, content_type=content_type, headers=headers)

    assert refusal(response) == answer
    assert no_schedules_are_stored()


@pytest.mark.django_db(transaction=True)
def test_effect_is_rolled_back_if_its_response_cannot_be_stored(
    api: ContractClient, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    api.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(IdempotentResponse, "save", fail)
        assert refusal(post(api)) == (500, "server_error")

    assert no_schedules_are_stored()
    assert (post(api).status_code, total(api)) == (201, 1)


@pytest.mark.django_db(transaction=True)
def test_failed_request_leaves_nothing(api: ContractClient, monkeypatch: pytest.MonkeyPatch):
    store = actions.store

    def store_and_fail(*args: Any, **kwargs: Any) -> None:
        store(*args, **kwargs)
        raise RuntimeError

    api.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(actions, "store", store_and_fail)
        assert refusal(post(api)) == (500, "server_error")

    assert no_schedules_are_stored()
    assert not IdempotentResponse.objects.exists()
    response = post(api)
    assert (response.status_code, is_replay(response), total(api)) == (201, False, 1)


# --- Concurrency ----------------------------------------------------------------------------


@pytest.fixture
def held(api: ContractClient) -> Any:
    """Lock the key in another connection, as a process that handles a request does."""
    if connection.vendor != "postgresql":
        pytest.skip("on SQLite a repeat waits: tests/journeys/test_fifty_at_once.py")
    account = ServiceAccount.objects.get(name="tests")
    number = advisory_lock_id(account.pk, KEY)
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [number])
        yield other


def test_repeat_in_flight_is_refused_with_retry_after(api: ContractClient, held: Any):
    response = post(api)

    assert refusal(response) == (409, "request_in_flight")
    assert response.headers["Retry-After"] == "1"
    assert no_schedules_are_stored()

    held.rollback()

    response = post(api)
    assert (response.status_code, is_replay(response)) == (201, False)


def test_key_in_flight_does_not_block_other_keys(api: ContractClient, held: Any):
    assert post(api, **{"Idempotency-Key": "another"}).status_code == 201
    assert post(caller("other", scopes=["admin"])).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_repeats_do_not_block_each_other(api: ContractClient, held: Any):
    held.rollback()
    post(api)
    number = advisory_lock_id(ServiceAccount.objects.get(name="tests").pk, KEY)
    held.execute("SELECT pg_advisory_xact_lock(%s)", [number])

    assert is_replay(post(api))


# --- Retention ------------------------------------------------------------------------------


def test_response_is_stored_for_24_hours(api: ContractClient):
    with time_machine.travel(datetime(2027, 3, 28, 1, tzinfo=UTC), tick=False) as clock:
        first = post(api)

        clock.shift(timedelta(hours=24) - timedelta(microseconds=1))
        assert is_replay(post(api))

        clock.shift(timedelta(microseconds=1))
        later = post(api)
        assert (later.status_code, is_replay(later)) == (201, False)
        assert later.headers["Location"] != first.headers["Location"]
        assert post(api).content == later.content

        clock.shift(timedelta(days=1))
        assert post(api, HOURLY).status_code == 201  # the key may be used for another request
    assert IdempotentResponse.objects.count() == 1


def test_refusal_keeps_an_expired_response(api: ContractClient):
    with time_machine.travel(datetime(2027, 3, 28, 1, tzinfo=UTC), tick=False) as clock:
        post(api)
        clock.shift(timedelta(days=1))

        assert refusal(post(api, {"every": 0, "period": "days"})) == (400, "validation_failed")

        assert IdempotentResponse.objects.count() == 1


def test_expired_responses_are_deleted_a_hundred_at_a_time(api: ContractClient):
    account = ServiceAccount.objects.get(name="tests")
    old = [
        IdempotentResponse(service_account=account, key=f"old-{number}", status=201)
        for number in range(150)
    ]
    with time_machine.travel(datetime.now(UTC) - timedelta(days=2)):
        IdempotentResponse.objects.bulk_create(old)

    post(api)
    assert IdempotentResponse.objects.count() == 51
    post(api)  # a repeat stores and deletes nothing
    assert IdempotentResponse.objects.count() == 51
    post(api, **{"Idempotency-Key": "another"})
    assert IdempotentResponse.objects.count() == 2


# --- Secrets --------------------------------------------------------------------------------


def test_api_key_text_is_neither_stored_nor_replayed(api: ContractClient):
    account = ServiceAccount.objects.create(name="newcomer", scopes=[])
    body = {"service_account": account.pk, "expires_at": None}

    first = post(api, body, path=API_KEYS)
    repeat = post(api, body, path=API_KEYS)

    assert first.status_code == 201
    assert refusal(repeat) == (409, "answer_not_kept")
    assert repeat.headers["Location"] == first.headers["Location"]
    assert account.api_keys.count() == 1
    secret = secret_part(first.json()["key"])
    stored = IdempotentResponse.objects.values().get()
    assert stored["body"] == ""
    assert secret not in json.dumps(stored, default=str)


def test_another_api_key_request_with_the_same_key_is_refused(api: ContractClient):
    account = ServiceAccount.objects.create(name="newcomer", scopes=[])
    post(api, {"service_account": account.pk, "expires_at": None}, path=API_KEYS)

    other = {"service_account": account.pk, "expires_at": "2099-01-01T00:00:00Z"}

    assert refusal(post(api, other, path=API_KEYS)) == (422, "idempotency_key_reused")
