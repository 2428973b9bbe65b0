"""API keys: created, rotated and revoked by `admin`."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from scheduler_api.access.models import ApiKey, ServiceAccount, digest_of
from tests.api.access.callers import ACCOUNTS, INDEX, KEYS, key_of, with_key
from tests.api.http.responses import mistakes, refusal
from tests.canaries import secret_part
from tests.conftest import caller

pytestmark = pytest.mark.both_databases

NEVER_SHOWN = {"key", "digest"}


@pytest.fixture
def account(db) -> ServiceAccount:
    return ServiceAccount.objects.create(name="billing", scopes=["tasks:read"])


def issue(api, account, **fields):
    return api.post(KEYS, {"service_account": account.pk, **fields})


def test_key_text_is_returned_once(api, account):
    response = issue(api, account)

    made = response.json()
    stored = ApiKey.objects.get(service_account=account)
    assert response.status_code == 201
    assert response.headers["Location"] == f"http://testserver{KEYS}{stored.pk}/"
    assert re.fullmatch(r"sk_[0-9a-f]{8}_[\w-]{43}", made["key"])
    assert made["key"].startswith(f"sk_{made['prefix']}_")
    assert stored.digest == digest_of(made["key"])
    assert made["expires_at"] is made["last_used_at"] is made["revoked_at"] is None
    assert with_key(made["key"]).get(INDEX).status_code == 200
    read = api.get(f"{KEYS}{stored.pk}/")
    assert read.json().keys() == made.keys() - {"key"}


def test_key_text_and_digest_are_in_no_other_response(api, account):
    made = issue(api, account).json()
    digest = ApiKey.objects.get(pk=made["id"]).digest
    answers = [
        api.get(KEYS),
        api.get(f"{KEYS}{made['id']}/"),
        api.get(ACCOUNTS),
        api.get(f"{ACCOUNTS}{account.pk}/"),
        issue(api, account, expires_at="2020-01-01T00:00:00Z"),
        api.post(f"{KEYS}{made['id']}/revoke/"),
    ]

    secret = secret_part(made["key"])
    for response in answers:
        assert secret.encode() not in response.content
        assert digest.encode() not in response.content
    assert not NEVER_SHOWN & api.get(KEYS).json()["results"][0].keys()


def test_keys_are_unique(api, account):
    one, other = (issue(api, account).json() for _ in range(2))

    assert one["key"] != other["key"]
    assert one["prefix"] != other["prefix"]


def test_new_key_is_issued_while_the_first_works(api, account):
    first = issue(api, account).json()
    second = issue(api, account).json()
    assert with_key(first["key"]).get(INDEX).status_code == 200
    assert with_key(second["key"]).get(INDEX).status_code == 200

    revoked = api.post(f"{KEYS}{first['id']}/revoke/")

    assert revoked.status_code == 200
    assert revoked.json()["revoked_at"] is not None
    assert with_key(first["key"]).get(INDEX).status_code == 401
    assert with_key(second["key"]).get(INDEX).status_code == 200


def test_third_live_key_is_refused(api, account):
    first = issue(api, account).json()
    issue(api, account)

    refused = issue(api, account)
    api.post(f"{KEYS}{first['id']}/revoke/")

    assert refusal(refused) == (409, "too_many_keys")
    assert "Revoke one" in refused.json()["detail"]
    assert issue(api, account).status_code == 201
    assert issue(api, account).status_code == 409


def test_expired_key_does_not_count_as_live(api, account):
    soon = datetime.now(UTC) + timedelta(hours=1)
    issue(api, account, expires_at=soon.isoformat())
    issue(api, account)
    ApiKey.objects.filter(expires_at=soon).update(expires_at=datetime.now(UTC))

    assert issue(api, account).status_code == 201


def test_keys_of_another_account_do_not_count(api, account):
    other = ServiceAccount.objects.create(name="other")
    for _ in range(2):
        issue(api, account)

    assert issue(api, other).status_code == 201


def test_concurrent_requests_for_the_last_key_create_one(two_at_once):
    account = ServiceAccount.objects.create(name="billing")
    ApiKey.issue(account)

    responses = two_at_once(lambda client, _: issue(client, account))

    assert sorted(response.status_code for response in responses) == [201, 409]
    assert account.api_keys.count() == 2


def test_expiring_key_has_its_expiry_time(api, account):
    response = issue(api, account, expires_at="2100-01-01T02:00:00+02:00")

    assert response.json()["expires_at"] == "2100-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, ("/expires_at", "in_the_past")),
        ({"expires_at": "2100-01-01T00:00:00"}, ("/expires_at", "invalid")),
        ({"expires_at": "2100-01-01"}, ("/expires_at", "invalid")),
        ({"expires_at": 4102444800}, ("/expires_at", "invalid")),
        ({"service_account": 999999}, ("/service_account", "does_not_exist")),
        ({"service_account": None}, ("/service_account", "null")),
        ({"service_account": "billing"}, ("/service_account", "invalid")),
        ({"service_account": True}, ("/service_account", "invalid")),
        ({"scopes": ["admin"]}, ("/scopes", "unknown_field")),
    ],
)
def test_invalid_key_values_are_refused(api, account, fields, mistake):
    response = issue(api, account, **fields)

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [mistake]
    assert not account.api_keys.exists()


def test_key_requires_an_account(api):
    assert mistakes(api.post(KEYS, {})) == [("/service_account", "required")]


def test_key_text_cannot_be_chosen(api, account):
    text = "sk_00000000_my-favourite-password-of-all-passwords-yet"

    made = issue(api, account, key=text, prefix="00000000", revoked_at=None).json()

    assert made["key"] != text
    assert made["prefix"] != "00000000"
    assert with_key(text).get(INDEX).status_code == 401


def test_key_is_revoked_once(api, account):
    address = f"{KEYS}{issue(api, account).json()['id']}/"

    first = api.post(f"{address}revoke/").json()
    again = api.post(f"{address}revoke/").json()

    assert again == first == api.get(address).json()


def test_key_cannot_be_changed_or_deleted(api, account):
    address = f"{KEYS}{issue(api, account).json()['id']}/"

    for method in ("put", "patch", "delete"):
        assert refusal(getattr(api, method)(address)) == (405, "method_not_allowed")


def test_unknown_key_is_not_found(api):
    assert refusal(api.get(f"{KEYS}999999/")) == (404, "not_found")
    assert refusal(api.post(f"{KEYS}999999/revoke/")) == (404, "not_found")


def test_last_use_is_in_the_list(api, account):
    made = issue(api, account).json()
    with_key(made["key"]).get(INDEX)

    assert api.get(f"{KEYS}{made['id']}/").json()["last_used_at"] is not None


def test_key_creation_requires_admin(db):
    client = caller("clever", scopes=["tasks:read", "periodic-tasks:write"])
    own = ApiKey.objects.get()

    assert issue(client, own.service_account).status_code == 403
    assert client.post(f"{KEYS}{own.pk}/revoke/").status_code == 403
    assert client.get(KEYS).status_code == 403
    assert with_key(key_of(client)).get(INDEX).status_code == 200


def test_logged_key_shows_only_its_prefix(account):
    key, text = ApiKey.issue(account)

    assert str(key) == f"sk_{key.prefix}…"
    assert text not in repr(key)
