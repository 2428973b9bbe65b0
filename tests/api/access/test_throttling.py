"""Rate limits per minute: of an account, and of an address without a valid key."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from rest_framework.response import Response
from rest_framework.test import APIClient
from time_machine import escape_hatch

from scheduler_api.access import throttling, windows
from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.access.throttling import Limiter
from scheduler_api.access.windows import RateLimitWindow
from scheduler_api.http.models import IdempotentResponse
from tests.api.access.callers import INDEX, account_of, with_key
from tests.api.http.responses import refusal
from tests.api.schedules.bodies import INTERVAL, INTERVALS, PREVIEW
from tests.client import KEY_QUERIES, ContractClient
from tests.conftest import caller

pytestmark = pytest.mark.both_databases

MINUTE = timedelta(minutes=1)
NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
REFUSED = (429, "too_many_requests")
LEASE = 1  # queries
CLEARING = 1


@pytest.fixture(autouse=True)
def clock(monkeypatch, time_machine):
    """A clock at noon that moves both the database's and the process's time."""

    def statement() -> str:
        dialect = windows.DIALECTS[connection.vendor]
        return windows.lease_sql(**{**dialect, "now": str(round(time.time() * 1000))})

    monkeypatch.setattr(windows, "lease_statement", statement)
    monkeypatch.setattr(throttling, "monotonic", time.time)
    time_machine.move_to(NOON, tick=False)
    return time_machine


@pytest.fixture(autouse=True)
def limiters(monkeypatch):
    """Start without leases, as a new process does."""
    for name in ("ACCOUNTS", "ADDRESSES"):
        monkeypatch.setattr(throttling, name, Limiter(getattr(throttling, name).policy))


@pytest.fixture
def api(db: None, clock: Any) -> ContractClient:
    return caller("tests", scopes=["admin"])


@pytest.fixture
def stranger(db: None) -> ContractClient:
    """A caller without a key."""
    return ContractClient()


def statuses(ask: Callable[[], Response], times: int) -> list[int]:
    return [ask().status_code for _ in range(times)]


def granted(ask: Callable[[], Response], times: int) -> int:
    """Send this many requests, and count the granted ones."""
    return times - statuses(ask, times).count(429)


# --- An account -----------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 7, 50, 100, 120])
def test_exactly_the_limit_is_granted(api, settings, limit):
    settings.RATE_LIMIT = limit

    answers = statuses(lambda: api.get(INDEX), limit + 3)

    assert answers == [200] * limit + [429] * 3


def test_request_beyond_the_limit_is_refused_with_retry_after(api, settings, clock):
    settings.RATE_LIMIT = 1
    clock.shift(timedelta(seconds=12.5))
    api.get(INDEX)

    response = api.get(INDEX)

    assert refusal(response) == REFUSED
    assert "'tests'" in response.json()["detail"]
    assert response.headers["Retry-After"] == "48"
    assert response.headers["RateLimit-Policy"] == '"account";q=1;w=60'
    assert response.headers["RateLimit"] == '"account";r=0;t=48'


def test_retry_after_is_at_least_one_second(api, settings, clock):
    settings.RATE_LIMIT = 1
    clock.shift(MINUTE - timedelta(milliseconds=1))
    api.get(INDEX)

    assert api.get(INDEX).headers["Retry-After"] == "1"


def test_next_minute_grants_the_limit_again(api, settings, clock):
    settings.RATE_LIMIT = 3
    clock.shift(timedelta(seconds=20))
    assert granted(lambda: api.get(INDEX), 5) == 3

    clock.shift(timedelta(seconds=39, milliseconds=999))
    assert granted(lambda: api.get(INDEX), 1) == 0

    clock.shift(timedelta(milliseconds=1))
    assert granted(lambda: api.get(INDEX), 5) == 3

    clock.shift(10 * MINUTE)
    assert granted(lambda: api.get(INDEX), 5) == 3


def test_unused_tokens_expire_with_the_minute(api, settings, clock):
    settings.RATE_LIMIT = 100
    api.get(INDEX)  # uses one token of a lease of two

    clock.shift(MINUTE)

    assert granted(lambda: api.get(INDEX), 105) == 100


def test_rate_limit_headers_count_down(api, settings, clock):
    settings.RATE_LIMIT = 6000

    first, second = api.get(INDEX), api.get(INTERVALS)
    clock.shift(timedelta(seconds=10))
    third = api.get(f"{INTERVALS}999/")

    headers = [response.headers["RateLimit"] for response in (first, second, third)]
    assert headers == ['"account";r=5999;t=60', '"account";r=5998;t=60', '"account";r=5997;t=50']
    assert {response.headers["RateLimit-Policy"] for response in (first, second, third)} == {
        '"account";q=6000;w=60'
    }


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (f"get {INDEX}", 200),
        (f"head {INTERVALS}", 200),
        (f"post {PREVIEW}", 200),
        (f"post {INTERVALS}", 400),
        (f"get {INTERVALS}?colour=red", 400),
        (f"get {INTERVALS}999/", 404),
        (f"options {INTERVALS}", 405),
        (f"put {INTERVALS}", 405),
        (f"delete {INTERVALS}999/", 404),
    ],
)
def test_every_authenticated_response_has_rate_limit_headers(api, settings, request_line, status):
    settings.RATE_LIMIT = 100
    method, path = request_line.split()
    body = {"schedule": {"type": "interval", **INTERVAL}} if method == "post" else None

    client = APIClient()  # openapi.yaml does not describe all of these requests
    client.credentials(**api._credentials)

    response = getattr(client, method)(path, body)

    assert response.status_code == status
    assert response.headers["RateLimit-Policy"] == '"account";q=100;w=60'
    assert response.headers["RateLimit"] == '"account";r=99;t=60'


def test_server_error_has_rate_limit_headers(api, settings, monkeypatch):
    settings.RATE_LIMIT = 100
    monkeypatch.setattr("scheduler_api.http.index.reverse", lambda *_, **__: 1 / 0)
    api.raise_request_exception = False

    response = api.get(INDEX)

    assert response.status_code == 500
    assert response.headers["RateLimit"] == '"account";r=99;t=60'


def test_replayed_response_has_current_rate_limit_headers(api, settings, clock):
    settings.RATE_LIMIT = 100
    headers = {"Idempotency-Key": "a"}

    first = api.post(INTERVALS, INTERVAL, headers=headers)
    clock.shift(timedelta(seconds=30))
    repeat = api.post(INTERVALS, INTERVAL, headers=headers)
    settings.RATE_LIMIT = 0
    without = api.post(INTERVALS, INTERVAL, headers=headers)

    assert first.headers["RateLimit"] == '"account";r=99;t=60'
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert repeat.headers["RateLimit"] == '"account";r=98;t=30'
    assert without.headers["Idempotent-Replayed"] == "true"
    assert "RateLimit" not in without.headers
    kept = IdempotentResponse.objects.get().headers
    assert "ETag" in kept
    assert not [name for name in kept if name.startswith("RateLimit")]


def test_request_refused_by_scope_counts(db, settings):
    settings.RATE_LIMIT = 3
    client = caller("nobody", scopes=[])

    answers = [client.get(INTERVALS) for _ in range(4)]

    assert [response.status_code for response in answers] == [403, 403, 403, 429]
    assert answers[0].headers["RateLimit"] == '"account";r=2;t=60'


def test_throttled_request_has_no_effect(api, settings):
    settings.RATE_LIMIT = 1

    for _ in range(3):
        api.post(INTERVALS, INTERVAL, headers={"Idempotency-Key": "a"})

    settings.RATE_LIMIT = 0
    assert len(api.get(INTERVALS).json()["results"]) == 1


@pytest.mark.django_db(transaction=True)
def test_token_stays_used_if_the_action_is_rolled_back(api, settings, monkeypatch):
    settings.RATE_LIMIT = 2
    api.raise_request_exception = False
    monkeypatch.setattr("scheduler_api.schedules.actions.record_entry", lambda *_, **__: 1 / 0)

    assert statuses(lambda: api.post(INTERVALS, INTERVAL), 3) == [500, 500, 429]


def test_accounts_have_independent_limits(api, settings):
    settings.RATE_LIMIT = 5
    other = caller("other", scopes=["admin"])

    assert granted(lambda: api.get(INDEX), 9) == 5
    assert granted(lambda: other.get(INDEX), 9) == 5


def test_keys_of_an_account_share_its_limit(api, settings):
    settings.RATE_LIMIT = 5
    _, text = ApiKey.issue(account_of("tests"), last_used_at=NOON)

    assert granted(lambda: api.get(INDEX), 3) == 3
    assert granted(lambda: with_key(text).get(INDEX), 9) == 2


@pytest.mark.parametrize(
    ("setting", "own", "expected"),
    [(5, None, 5), (5, 2, 2), (5, 8, 8), (0, 2, 2), (0, None, 9)],
)
def test_account_may_have_its_own_limit(api, settings, setting, own, expected):
    settings.RATE_LIMIT = setting
    ServiceAccount.objects.update(requests_per_minute=own)

    assert granted(lambda: api.get(INDEX), 9) == expected


def test_changed_limit_applies_from_the_next_request(api, settings):
    settings.RATE_LIMIT = 3
    assert granted(lambda: api.get(INDEX), 5) == 3

    ServiceAccount.objects.update(requests_per_minute=10)
    assert granted(lambda: api.get(INDEX), 9) == 7

    ServiceAccount.objects.update(requests_per_minute=5)
    assert granted(lambda: api.get(INDEX), 9) == 0


def test_unlimited_requests_have_no_headers_and_are_not_counted(api, django_assert_num_queries):
    with django_assert_num_queries(KEY_QUERIES):
        response = api.get(INDEX)

    assert not [name for name in response.headers if name.startswith("RateLimit")]
    assert not RateLimitWindow.objects.exists()


def test_few_requests_query_the_database(api, settings, django_assert_num_queries):
    settings.RATE_LIMIT = 500

    with django_assert_num_queries(100 * KEY_QUERIES + 10 * LEASE + CLEARING):
        assert granted(lambda: api.get(INDEX), 100) == 100


def test_exhausted_minute_is_not_queried_again(api, settings, django_assert_num_queries):
    settings.RATE_LIMIT = 3
    granted(lambda: api.get(INDEX), 4)

    with django_assert_num_queries(5 * KEY_QUERIES):
        assert granted(lambda: api.get(INDEX), 5) == 0


# --- Several processes, as limiters that share a database -----------------------------------


def drain(limiters: list[Limiter], *, limit: int, caller: str = "1") -> list[int]:
    """Use the limiters in turn until all refuse; return the number that each granted."""
    counts = [0] * len(limiters)
    refusing: set[int] = set()
    while len(refusing) < len(limiters):
        for number, limiter in enumerate(limiters):
            if limiter.take(caller, limit=limit).is_granted:
                counts[number] += 1
            else:
                refusing.add(number)
    return counts


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [1, 2, 49, 50, 100, 777, 6000])
@pytest.mark.parametrize("processes", [1, 2, 5])
def test_all_processes_together_grant_exactly_the_limit(limit, processes):
    limiters = [Limiter("account") for _ in range(processes)]

    assert sum(drain(limiters, limit=limit)) == limit


@pytest.mark.django_db
def test_idle_processes_do_not_hold_needed_tokens():
    limiters = [Limiter("account") for _ in range(100)]
    for limiter in limiters:
        assert limiter.take("1", limit=6000).is_granted

    assert limiters[0].take("1", limit=6000).is_granted


@pytest.mark.django_db
def test_leases_shrink_towards_the_limit():
    leased = []
    while not leased or leased[-1]:
        leased.append(RateLimitWindow.objects.lease("account 1", limit=1000).tokens)

    assert leased[0] == 20
    assert leased == sorted(leased, reverse=True)
    assert leased[-2] == 1
    assert sum(leased) == 1000
    assert len(leased) < 100


@pytest.mark.django_db
def test_late_statement_takes_from_the_current_minute(clock):
    early, late = Limiter("account"), Limiter("account")
    clock.shift(MINUTE)
    drain([early], limit=10)

    clock.shift(-timedelta(milliseconds=1))  # its statement was sent earlier and waited for a lock

    assert not late.take("1", limit=10).is_granted
    stored = RateLimitWindow.objects.get()
    assert (stored.minute, stored.taken) == (NOON.timestamp() // 60 + 1, 10)


@pytest.mark.django_db
def test_remaining_header_includes_other_processes():
    one, other = Limiter("account"), Limiter("account")
    one.take("1", limit=100)

    assert other.take("1", limit=100).remaining == 97


def granted_at_once(limiters: list[Limiter], *, limit: int) -> int:
    """Request more than the limit from each limiter concurrently; count the granted requests."""
    start = Barrier(len(limiters), timeout=10)

    def ask(limiter: Limiter) -> int:
        connection.ensure_connection()
        start.wait()
        try:
            return sum(limiter.take("1", limit=limit).is_granted for _ in range(limit + 1))
        finally:
            connection.close()

    with ThreadPoolExecutor(len(limiters)) as threads:
        return sum(threads.map(ask, limiters))


@pytest.fixture
def frequent_thread_switches() -> Iterator[None]:
    """Make threads switch very often, so that races show."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("frequent_thread_switches")
@pytest.mark.django_db(transaction=True)
def test_threads_of_a_process_share_a_lease():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's test database is one connection's")

    assert granted_at_once([Limiter("account")] * 8, limit=2000) == 2000


@pytest.mark.django_db(transaction=True)
def test_concurrent_processes_grant_exactly_the_limit():
    if connection.vendor == "sqlite":
        pytest.skip("tests/journeys/test_rate_limit.py has SQLite")

    assert granted_at_once([Limiter("account") for _ in range(8)], limit=300) == 300


@pytest.mark.django_db
def test_number_of_leases_is_bounded(monkeypatch):
    monkeypatch.setattr(throttling, "MAX_LEASES", 3)
    limiter = Limiter("address")

    for number in range(10):
        limiter.take(number, limit=100)
        limiter.take(0, limit=100)

    assert set(limiter.leases) == {"address 0", "address 8", "address 9"}


# --- Rows -----------------------------------------------------------------------------------


def rows(count: int, *, minute: int) -> None:
    RateLimitWindow.objects.bulk_create(
        RateLimitWindow(subject=f"address {number}", minute=minute, taken=1, leased=1)
        for number in range(count)
    )


def test_past_windows_are_deleted_a_hundred_at_a_time(api, settings, clock):
    settings.RATE_LIMIT = 50
    noon = int(NOON.timestamp()) // 60
    rows(150, minute=noon - 11)

    api.get(INDEX)
    assert RateLimitWindow.objects.count() == 51
    api.get(INDEX)  # queries the database, but begins no minute
    assert RateLimitWindow.objects.count() == 51
    clock.shift(MINUTE)
    api.get(INDEX)
    assert RateLimitWindow.objects.count() == 1


def test_recent_windows_are_kept(api, settings):
    settings.RATE_LIMIT = 50
    noon = int(NOON.timestamp()) // 60
    rows(5, minute=noon - 10)

    api.get(INDEX)

    assert RateLimitWindow.objects.count() == 6


@pytest.mark.django_db
def test_database_clock_advances(monkeypatch):
    monkeypatch.undo()
    before = escape_hatch.time.time()

    grant = RateLimitWindow.objects.lease("account 1", limit=1)

    after = escape_hatch.time.time()
    ends_at = (RateLimitWindow.objects.get().minute + 1) * 60
    resolution = 0.002
    assert 0 < grant.ends_in.total_seconds() <= 60
    read_at = ends_at - grant.ends_in.total_seconds()
    assert before - resolution <= read_at <= after + resolution


# --- An address that fails to authenticate --------------------------------------------------


@pytest.mark.parametrize("header", [None, "Bearer sk_00000000_unknown", "Basic dTpw"])
def test_authentication_failures_are_limited_by_address(stranger, settings, header):
    settings.FAILED_AUTHENTICATION_LIMIT = 3
    stranger.credentials(**({"HTTP_AUTHORIZATION": header} if header else {}))

    answers = [stranger.get(INDEX) for _ in range(5)]

    assert [response.status_code for response in answers] == [401, 401, 401, 429, 429]
    assert refusal(answers[-1]) == REFUSED
    assert answers[-1].headers["Retry-After"] == "60"
    assert answers[-1].headers["RateLimit-Policy"] == '"address";q=3;w=60'
    assert answers[-1].headers["RateLimit"] == '"address";r=0;t=60'
    assert "WWW-Authenticate" not in answers[-1].headers


def test_all_failures_of_an_address_count_together(api, stranger, settings, clock):
    settings.FAILED_AUTHENTICATION_LIMIT = 3
    ApiKey.objects.update(revoked_at=NOON)

    answers = [stranger.get(INDEX), with_key("sk_1").get(INTERVALS), api.post(INTERVALS, {})]

    assert [response.status_code for response in answers] == [401, 401, 401]
    assert refusal(stranger.get(INDEX)) == REFUSED
    clock.shift(MINUTE)
    assert stranger.get(INDEX).status_code == 401


def test_valid_key_works_despite_failures_of_its_address(api, stranger, settings):
    settings.RATE_LIMIT = 100
    settings.FAILED_AUTHENTICATION_LIMIT = 1
    assert statuses(lambda: stranger.get(INDEX), 3) == [401, 429, 429]

    assert statuses(lambda: api.get(INDEX), 3) == [200, 200, 200]
    assert api.get(INDEX).headers["RateLimit-Policy"] == '"account";q=100;w=60'


def test_valid_key_does_not_count_as_a_failure(api, stranger, settings):
    settings.FAILED_AUTHENTICATION_LIMIT = 1

    assert statuses(lambda: api.get(INDEX), 3) == [200, 200, 200]
    assert stranger.get(INDEX).status_code == 401


def test_authentication_failures_may_be_unlimited(stranger, settings):
    settings.RATE_LIMIT = 1

    assert statuses(lambda: stranger.get(INDEX), 3) == [401, 401, 401]
    assert not RateLimitWindow.objects.exists()


def test_refused_address_sends_no_query(stranger, settings, django_assert_num_queries):
    settings.FAILED_AUTHENTICATION_LIMIT = 1
    statuses(lambda: stranger.get(INDEX), 2)

    with django_assert_num_queries(0):
        assert statuses(lambda: stranger.get(INDEX), 3) == [429, 429, 429]


# --- Client address -------------------------------------------------------------------------


def with_addresses(peer: str, forwarded: str | None) -> dict[str, str]:
    return {"REMOTE_ADDR": peer} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})


def is_another_address(settings: Any, first: dict[str, str], second: dict[str, str]) -> bool:
    """Return whether the second caller is granted after the first has used the limit."""
    settings.FAILED_AUTHENTICATION_LIMIT = 1
    assert ContractClient().get(INDEX, **first).status_code == 401
    assert ContractClient().get(INDEX, **first).status_code == 429
    return bool(ContractClient().get(INDEX, **second).status_code == 401)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("proxies", "first", "second"),
    [
        (0, "", "1.1.1.1"),
        (0, "1.1.1.1", "2.2.2.2"),
        (1, "1.1.1.1, 9.9.9.9", "2.2.2.2, 9.9.9.9"),
        (1, "9.9.9.9", "1.1.1.1,2.2.2.2,9.9.9.9"),
        (1, "2001:db8::1", "1.1.1.1, 2001:DB8:0::1"),
        (1, "fe80::1%eth0", "fe80::1%eth1"),
        (1, "unknown", "also unknown"),
        (1, "1.1.1.1, 9.9.9.9:1234", "2.2.2.2, 9.9.9.9:4321"),
        (2, "1.1.1.1, 9.9.9.9, 8.8.8.8", "2.2.2.2, 9.9.9.9, 7.7.7.7"),
        (2, "1.1.1.1", "2.2.2.2"),
    ],
)
def test_forwarded_address_cannot_be_forged(settings, proxies, first, second):
    settings.PROXIES = proxies

    assert not is_another_address(
        settings, with_addresses("10.0.0.1", first), with_addresses("10.0.0.1", second)
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("proxies", "first", "second"),
    [
        (0, ("10.0.0.1", "1.1.1.1"), ("10.0.0.2", "1.1.1.1")),
        (1, ("10.0.0.1", "1.1.1.1"), ("10.0.0.1", "2.2.2.2")),
        (1, ("10.0.0.1", "x"), ("10.0.0.2", "x")),
        (2, ("10.0.0.1", "1.1.1.1, 9.9.9.9"), ("10.0.0.1", "2.2.2.2, 9.9.9.9")),
        (2, ("10.0.0.1", "1.1.1.1"), ("10.0.0.2", "1.1.1.1")),
    ],
)
def test_different_addresses_are_counted_separately(settings, proxies, first, second):
    settings.PROXIES = proxies

    assert is_another_address(settings, with_addresses(*first), with_addresses(*second))
