"""Authentication: a live key in the Authorization header, and nowhere else."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from scheduler_api.access.models import ApiKey
from tests.api.access.callers import INDEX, KEYS, account_of, key_of, with_key
from tests.api.http.responses import refusal
from tests.api.schedules.bodies import INTERVALS
from tests.client import KEY_QUERIES, ContractClient

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
ADDRESSES = [INDEX, INTERVALS, f"{INTERVALS}1/", "/api/v1/tasks/", KEYS]


def is_refused(response, challenge: str) -> bool:
    assert refusal(response) == (401, "not_authenticated")
    return response.headers["WWW-Authenticate"] == challenge


@pytest.mark.parametrize("address", ADDRESSES)
def test_request_without_a_key_is_refused(db, address):
    response = ContractClient().get(address)

    assert is_refused(response, "Bearer")
    assert "Authorization: Bearer" in response.json()["detail"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Basic dTpw",
        "Token {key}",
        "{key}",
        "Bearer{key}",
        "Key {key}",
    ],
)
def test_malformed_authorization_header_is_refused(api, header):
    client = ContractClient()
    client.credentials(HTTP_AUTHORIZATION=header.format(key=key_of(api)))

    assert is_refused(client.get(INDEX), "Bearer")


@pytest.mark.parametrize("parameter", ["key", "api_key", "access_token", "token", "authorization"])
def test_key_in_the_url_is_refused_and_not_echoed(api, parameter):
    key = key_of(api)

    without_header = ContractClient().get(INTERVALS, {parameter: key})
    with_header = api.get(INTERVALS, {parameter: key})

    assert is_refused(without_header, "Bearer")
    assert refusal(with_header) == (400, "invalid_query")
    for response in (without_header, with_header):
        assert key.encode() not in response.content


@pytest.mark.parametrize("place", ["body", "cookie", "another header"])
def test_key_outside_the_header_is_refused(api, place):
    client, key = ContractClient(), key_of(api)
    body, headers = {}, {}
    if place == "body":
        body = {"access_token": key}
    elif place == "cookie":
        client.cookies["access_token"] = key
    else:
        headers = {"X-Api-Key": key}

    assert is_refused(client.post(INTERVALS, body, headers=headers), "Bearer")


@pytest.mark.parametrize(
    "change",
    [
        lambda key: "sk_00000000_unknown",
        lambda key: key[:-1],
        lambda key: f"{key}x",
        lambda key: key.upper(),
        lambda key: f"{key} {key}",
        lambda key: f"{key}, Bearer {key}",
        lambda key: key.removeprefix("sk_"),
        lambda key: "clé",
        lambda key: "x" * 8_000,
    ],
)
def test_unknown_key_is_refused(api, change):
    response = with_key(change(key_of(api))).get(INDEX)

    assert is_refused(response, 'Bearer error="invalid_token"')


def test_key_digest_is_refused(api):
    assert is_refused(
        with_key(ApiKey.objects.get().digest).get(INDEX), 'Bearer error="invalid_token"'
    )


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_scheme_is_case_insensitive(api, scheme):
    assert with_key(key_of(api), scheme).get(INDEX).status_code == 200


def test_revoked_key_is_refused(api):
    ApiKey.objects.update(revoked_at=datetime.now(UTC))

    assert is_refused(api.get(INDEX), 'Bearer error="invalid_token"')


def test_key_works_until_it_expires(api, time_machine):
    ApiKey.objects.update(expires_at=NOON)

    time_machine.move_to(NOON - timedelta(seconds=1), tick=False)
    before = api.get(INDEX)
    time_machine.move_to(NOON, tick=False)

    assert before.status_code == 200
    assert is_refused(api.get(INDEX), 'Bearer error="invalid_token"')


def test_unknown_expired_and_revoked_keys_get_the_same_refusal(api, time_machine):
    unknown = with_key("sk_00000000_unknown").get(INDEX).json()
    ApiKey.objects.update(expires_at=NOON)
    time_machine.move_to(NOON, tick=False)
    expired = api.get(INDEX).json()
    ApiKey.objects.update(expires_at=None, revoked_at=NOON)
    revoked = api.get(INDEX).json()

    for answer in (unknown, expired, revoked):
        del answer["request_id"]
    assert unknown == expired == revoked


@pytest.mark.both_databases
def test_key_is_found_in_one_query(api, django_assert_num_queries):
    with django_assert_num_queries(KEY_QUERIES):
        assert api.get(INDEX).status_code == 200


def test_request_without_a_key_sends_no_query(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        ContractClient().get(INTERVALS)


@pytest.mark.both_databases
def test_use_is_recorded_at_most_once_a_minute(api, time_machine, django_assert_num_queries):
    key = ApiKey.objects.get()

    def last_use() -> datetime | None:
        key.refresh_from_db()
        return key.last_used_at

    ApiKey.objects.update(last_used_at=None)
    time_machine.move_to(NOON, tick=False)
    with django_assert_num_queries(KEY_QUERIES + 1):
        api.get(INDEX)
    assert last_use() == NOON
    time_machine.move_to(NOON + timedelta(seconds=60), tick=False)
    with django_assert_num_queries(KEY_QUERIES):
        api.get(INDEX)
    assert last_use() == NOON
    time_machine.move_to(NOON + timedelta(seconds=61), tick=False)
    with django_assert_num_queries(KEY_QUERIES + 1):
        api.get(INDEX)
    assert last_use() == NOON + timedelta(seconds=61)


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "patch", "delete", "options"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_every_method_requires_a_key_first(db, address, method):
    response = getattr(APIClient(), method)(address)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_method_is_checked_with_a_key(api):
    client = APIClient()
    client.credentials(**api._credentials)

    assert client.head(INTERVALS).status_code == 200
    assert refusal(client.options(INTERVALS)) == (405, "method_not_allowed")
    assert refusal(client.put(INTERVALS)) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["nothing/", "periodic-tasks/x/", "periodic-tasks/1/nothing/"])
def test_unknown_path_is_reported_only_with_a_key(api, path):
    assert refusal(api.get(f"/api/v1/{path}")) == (404, "not_found")
    assert refusal(ContractClient().get(f"/api/v1/{path}")) == (401, "not_authenticated")


@pytest.mark.parametrize("address", ["/healthz", "/openapi.yaml", "/docs/", "/redoc/"])
def test_pages_outside_the_api_require_no_key(db, address):
    assert APIClient().get(address).status_code == 200


def test_django_admin_session_does_not_authenticate(admin_client):
    assert is_refused(admin_client.get(INTERVALS), "Bearer")


def test_removed_scope_is_refused_from_the_next_request(api):
    account = account_of("tests")
    assert api.get(INTERVALS).status_code == 200

    account.scopes = []
    account.save()

    assert api.get(INTERVALS).status_code == 403


def test_key_text_is_not_stored(api, capsys):
    call_command("dumpdata", "scheduler_api")
    stored = capsys.readouterr().out

    assert ApiKey.objects.get().prefix in stored
    assert key_of(api) not in stored
