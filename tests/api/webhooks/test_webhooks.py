"""CRUD on webhooks, their secrets and pings."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from scheduler_api.access.models import AuditEntry
from scheduler_api.outbound import address_guard
from scheduler_api.webhooks import signing
from scheduler_api.webhooks.actions import MAX_WEBHOOKS
from scheduler_api.webhooks.models import Delivery, Webhook
from tests.api.http.answers import mistakes, refusal
from tests.webhooks.examples import DELIVERIES, URL, WEBHOOKS

ALERTS = {"name": "Alerts", "url": URL}


@pytest.fixture(autouse=True)
def _as_by_default(settings):
    settings.OUTGOING_PRIVATE_ADDRESSES = []


@pytest.fixture
def made(api, secrets):
    """A webhook that the API has made."""
    return make(api, secrets)


def make(api, secrets, **body):
    response = api.post(WEBHOOKS, {**ALERTS, **body})
    assert response.status_code == 201, response.json()
    secret = response.json()["secret"].removeprefix("whsec_")
    secrets.texts[secret] = "the secret of a webhook"
    return response.json()


def at(webhook, *parts):
    return "/".join([f"{WEBHOOKS}{webhook['id']}", *parts, ""])


def secret_of(webhook):
    row = Webhook.objects.get(pk=webhook["id"])
    return signing.restore_secret(row.salt, row.key_id)


def test_a_webhook_is_made_and_told_its_secret_once(api, made):
    told = api.get(at(made)).json()

    assert made == {**told, "secret": secret_of(made)}
    assert {key: told[key] for key in ("owner", "name", "url", "events", "label", "enabled")} == {
        "owner": "tests",
        "name": "Alerts",
        "url": URL,
        "events": [],
        "label": "",
        "enabled": True,
    }
    assert api.get(WEBHOOKS).json()["results"] == [told]


def test_a_dry_run_makes_none_and_tells_no_secret(api):
    response = api.post(f"{WEBHOOKS}?dry_run=true", ALERTS)

    assert response.status_code == 200
    assert (response.json()["id"], response.json()["secret"]) == (None, None)
    assert not Webhook.objects.exists()


def test_a_repeat_under_the_same_key_makes_no_other_and_is_not_told_the_secret(api):
    first = api.post(WEBHOOKS, ALERTS, headers={"Idempotency-Key": "once"})
    again = api.post(WEBHOOKS, ALERTS, headers={"Idempotency-Key": "once"})

    assert refusal(again) == (409, "answer_not_kept")
    assert again.headers["Location"] == first.headers["Location"]
    assert Webhook.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ({"name": "Alerts"}, ("/url", "required")),
        ({"url": URL}, ("/name", "required")),
        ({**ALERTS, "url": "ftp://example.com/"}, ("/url", "invalid_url")),
        ({**ALERTS, "url": "https://user:pw@example.com/"}, ("/url", "invalid_url")),
        ({**ALERTS, "url": "https://8.8.8.8/" + "x" * 2000}, ("/url", "max_length")),
        ({**ALERTS, "url": "http://127.0.0.1/"}, ("/url", "address_not_allowed")),
        ({**ALERTS, "url": "http://localhost:8000/"}, ("/url", "address_not_allowed")),
        ({**ALERTS, "url": "http://169.254.169.254/"}, ("/url", "address_not_allowed")),
        ({**ALERTS, "url": "http://[::ffff:10.0.0.1]/"}, ("/url", "address_not_allowed")),
        ({**ALERTS, "url": 7}, ("/url", "invalid")),
        ({**ALERTS, "events": ["run.succeeded"]}, ("/events/0", "invalid_choice")),
        ({**ALERTS, "events": "run.failed"}, ("/events", "not_a_list")),
        ({**ALERTS, "label": "Team=billing"}, ("/label", "invalid_label")),
        ({**ALERTS, "label": "team=billing,"}, ("/label", "invalid_label")),
        ({**ALERTS, "secret": "whsec_mine", "colour": "red"}, ("/colour", "unknown_field")),
    ],
)
def test_a_mistake_says_where_it_stands(api, body, mistake):
    response = api.post(WEBHOOKS, body)

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [mistake]
    assert not Webhook.objects.exists()


def test_a_name_that_leads_to_a_private_address_is_refused(api, monkeypatch):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["8.8.8.8", "10.0.0.1"])

    response = api.post(WEBHOOKS, {**ALERTS, "url": "https://intranet.example/"})

    assert mistakes(response) == [("/url", "address_not_allowed")]
    assert "10.0.0.1" not in response.json()["detail"]


def test_a_name_that_cannot_be_resolved_now_is_taken(api, secrets, monkeypatch):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: [])

    assert make(api, secrets, url="https://soon.example/")["url"] == "https://soon.example/"


def test_a_private_address_is_taken_where_a_setting_opens_it(api, secrets, settings):
    settings.OUTGOING_PRIVATE_ADDRESSES = [ip_network("10.0.0.0/8")]

    assert make(api, secrets, url="http://10.1.2.3/")["url"] == "http://10.1.2.3/"


def test_it_is_changed_and_replaced(api, made):
    changed = api.patch(at(made), {"events": ["run.lost", "run.failed", "run.lost"]})
    assert changed.json()["events"] == ["run.failed", "run.lost"]

    replaced = api.put(at(made), {**ALERTS, "label": "team=billing"})
    assert (replaced.json()["events"], replaced.json()["label"]) == ([], "team=billing")
    assert secret_of(made) == made["secret"]


def test_a_change_is_checked_as_a_new_one_is(api, made):
    response = api.patch(at(made), {"url": "http://127.0.0.1/"})

    assert mistakes(response) == [("/url", "address_not_allowed")]
    assert Webhook.objects.get().url == URL


def test_a_change_of_what_was_not_seen_is_refused(api, made):
    response = api.patch(at(made), {"enabled": False}, HTTP_IF_MATCH='"another"')

    assert refusal(response) == (412, "revision_mismatch")


def test_one_that_was_disabled_because_it_failed_starts_anew_when_it_is_enabled(api, made):
    Webhook.objects.update(
        enabled=False, disabled_at=datetime.now(UTC), disabled_reason="It failed."
    )
    told = api.get(at(made)).json()
    assert (told["enabled"], told["disabled_reason"]) == (False, "It failed.")

    told = api.patch(at(made), {"enabled": True}).json()

    assert (told["enabled"], told["disabled_at"], told["disabled_reason"]) == (True, None, "")


def test_it_is_deleted_with_its_deliveries(api, made):
    api.post(at(made, "ping"))

    assert api.delete(at(made)).status_code == 204

    assert not Webhook.objects.exists()
    assert not Delivery.objects.exists()
    assert refusal(api.get(at(made))) == (404, "not_found")


@pytest.mark.parametrize("query", [{"enabled": "true"}, {"name": "Alerts"}, {"ordering": "-name"}])
def test_they_are_found(api, made, query):
    assert [row["id"] for row in api.get(WEBHOOKS, query).json()["results"]] == [made["id"]]


@pytest.mark.parametrize("query", [{"enabled": "false"}, {"name": "Another"}])
def test_others_are_not_found(api, made, query):
    assert api.get(WEBHOOKS, query).json()["results"] == []


def test_an_account_may_have_so_many(api, secrets):
    for _ in range(MAX_WEBHOOKS):
        made = make(api, secrets)

    assert refusal(api.post(WEBHOOKS, ALERTS)) == (409, "too_many_webhooks")

    api.delete(at(made))
    make(api, secrets)


# --- Secrets ----------------------------------------------------------------------------------


def test_another_secret_is_told_once_and_the_last_one_signs_on(api, made, secrets):
    began_at = datetime.now(UTC)

    response = api.post(at(made, "rotate"))

    told = response.json()
    secrets.texts[told["secret"].removeprefix("whsec_")] = "the new secret of a webhook"
    assert response.status_code == 200
    assert told["secret"] == secret_of(made) != made["secret"]
    row = Webhook.objects.get()
    assert signing.restore_secret(row.previous_salt, row.previous_key_id) == made["secret"]
    assert row.previous_until >= began_at + timedelta(hours=24)
    assert "secret" not in api.get(at(made)).json()


def test_in_a_dry_run_no_other_secret_is_made_or_told(api, made):
    response = api.post(f"{at(made, 'rotate')}?dry_run=true")

    assert response.json()["secret"] is None
    assert secret_of(made) == made["secret"]


def test_a_repeat_is_not_told_the_secret_and_rotates_nothing(api, made):
    api.post(at(made, "rotate"), headers={"Idempotency-Key": "once"})
    rotated = secret_of(made)

    again = api.post(at(made, "rotate"), headers={"Idempotency-Key": "once"})

    assert refusal(again) == (409, "answer_not_kept")
    assert again.headers["Location"].endswith(at(made))
    assert secret_of(made) == rotated


def test_the_audit_tells_of_each_write_and_of_no_secret(api, made):
    api.post(at(made, "rotate"))
    api.post(at(made, "ping"))
    api.patch(at(made), {"enabled": False})
    api.delete(at(made))

    entries = AuditEntry.objects.filter(object_type="webhook").order_by("pk")
    assert [entry.operation for entry in entries] == [
        "create",
        "rotate",
        "ping",
        "change",
        "delete",
    ]
    assert {entry.object_name for entry in entries} == {"Alerts"}
    row = repr([(entry.before, entry.after) for entry in entries])
    assert "salt" not in row
    assert "whsec_" not in row


# --- Pings ------------------------------------------------------------------------------------


def test_a_ping_is_to_be_sent_at_once(api, made):
    response = api.post(at(made, "ping"))

    delivery = Delivery.objects.get()
    assert response.status_code == 202
    assert response.headers["Location"].endswith(f"{DELIVERIES}{delivery.pk}/")
    told = response.json()
    assert (told["id"], told["webhook"], told["type"]) == (
        delivery.pk,
        made["id"],
        "webhook.ping",
    )
    assert told["payload"]["data"] == {"webhook": made["id"]}
    assert delivery.next_attempt_at <= datetime.now(UTC)


def test_a_dry_run_sends_no_ping(api, made):
    response = api.post(f"{at(made, 'ping')}?dry_run=true")

    assert (response.status_code, response.json()["id"]) == (200, None)
    assert not Delivery.objects.exists()


def test_one_that_is_disabled_is_not_pinged(api, made):
    api.patch(at(made), {"enabled": False})

    assert refusal(api.post(at(made, "ping"))) == (409, "webhook_disabled")
    assert not Delivery.objects.exists()
