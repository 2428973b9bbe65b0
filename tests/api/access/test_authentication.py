"""Who is calling: a live key in the Authorization header, and nowhere else."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from scheduler_api.access.models import ApiKey
from tests.api.access.callers import INDEX, KEYS, account_of, key_of, with_key
from tests.api.http.answers import refusal
from tests.api.schedules.bodies import INTERVALS
from tests.client import KEY_QUERIES, ContractClient

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
ADDRESSES = [INDEX, INTERVALS, f"{INTERVALS}1/", "/api/v1/tasks/", KEYS]


def is_refused(response, challenge: str) -> bool:
    assert refusal(response) == (401, "not_authenticated")
    return response.headers["WWW-Authenticate"] == challenge


@pytest.mark.parametrize("address", ADDRESSES)
def test_without_a_key_nothing_is_told(db, address):
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
def test_another_way_to_say_it_is_refused(api, header):
    client = ContractClient()
    client.credentials(HTTP_AUTHORIZATION=header.format(key=key_of(api)))

    assert is_refused(client.get(INDEX), "Bearer")


@pytest.mark.parametrize("parameter", ["key", "api_key", "access_token", "token", "authorization"])
def test_a_key_in_the_url_opens_nothing_and_is_not_repeated(api, parameter):
    key = key_of(api)

    without_header = ContractClient().get(INTERVALS, {parameter: key})
    with_header = api.get(INTERVALS, {parameter: key})

    assert is_refused(without_header, "Bearer")
    assert refusal(with_header) == (400, "invalid_query")
    for response in (without_header, with_header):
        assert key.encode() not in response.content


@pytest.mark.parametrize("place", ["body", "cookie", "another header"])
def test_a_key_elsewhere_opens_nothing(api, place):
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
        lambda key: "x" * 10_000,
    ],
)
def test_a_key_that_is_unknown_is_refused(api, change):
    response = with_key(change(key_of(api))).get(INDEX)

    assert is_refused(response, 'Bearer error="invalid_token"')


def test_the_digest_is_no_key(api):
    assert is_refused(
        with_key(ApiKey.objects.get().digest).get(INDEX), 'Bearer error="invalid_token"'
    )


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_a_key_is_known_however_the_scheme_is_written(api, scheme):
    assert with_key(key_of(api), scheme).get(INDEX).status_code == 200


def test_a_key_that_was_revoked_is_refused(api):
    ApiKey.objects.update(revoked_at=datetime.now(UTC))

    assert is_refused(api.get(INDEX), 'Bearer error="invalid_token"')


def test_a_key_works_until_it_expires(api, time_machine):
    ApiKey.objects.update(expires_at=NOON)

    time_machine.move_to(NOON - timedelta(seconds=1), tick=False)
    before = api.get(INDEX)
    time_machine.move_to(NOON, tick=False)

    assert before.status_code == 200
    assert is_refused(api.get(INDEX), 'Bearer error="invalid_token"')


def test_unknown_expired_and_revoked_are_not_told_apart(api, time_machine):
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
def test_a_key_is_found_in_one_query(api, django_assert_num_queries):
    with django_assert_num_queries(KEY_QUERIES):
        assert api.get(INDEX).status_code == 200


def test_a_request_without_a_key_costs_none(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        ContractClient().get(INTERVALS)


@pytest.mark.both_databases
def test_a_use_is_noted_at_most_once_a_minute(api, time_machine, django_assert_num_queries):
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
def test_every_method_asks_for_a_key_first(db, address, method):
    response = getattr(APIClient(), method)(address)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_with_a_key_the_method_is_looked_at(api):
    client = APIClient()
    client.credentials(**api._credentials)

    assert client.head(INTERVALS).status_code == 200
    assert refusal(client.options(INTERVALS)) == (405, "method_not_allowed")
    assert refusal(client.put(INTERVALS)) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["nothing/", "periodic-tasks/x/", "periodic-tasks/1/nothing/"])
def test_what_is_not_there_is_told_to_those_who_have_a_key(api, path):
    assert refusal(api.get(f"/api/v1/{path}")) == (404, "not_found")
    assert refusal(ContractClient().get(f"/api/v1/{path}")) == (401, "not_authenticated")


@pytest.mark.parametrize("address", ["/healthz", "/openapi.yaml", "/docs/", "/redoc/"])
def test_what_is_not_the_api_asks_for_no_key(db, address):
    assert APIClient().get(address).status_code == 200


def test_an_admin_of_the_pages_is_nobody_to_the_api(admin_client):
    assert is_refused(admin_client.get(INTERVALS), "Bearer")


def test_scopes_taken_away_are_gone_with_the_next_request(api):
    account = account_of("tests")
    assert api.get(INTERVALS).status_code == 200

    account.scopes = []
    account.save()

    assert api.get(INTERVALS).status_code == 403


def test_the_text_of_a_key_is_stored_nowhere(api, capsys):
    call_command("dumpdata", "scheduler_api")
    stored = capsys.readouterr().out

    assert ApiKey.objects.get().prefix in stored
    assert key_of(api) not in stored
