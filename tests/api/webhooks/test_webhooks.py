"""Webhooks over HTTP: CRUD, secrets and pings."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from scheduler_api.access.models import AuditEntry
from scheduler_api.outbound import address_guard
from scheduler_api.webhooks import signing
from scheduler_api.webhooks.actions import MAX_WAITING_PINGS, MAX_WEBHOOKS
from scheduler_api.webhooks.models import Delivery, Webhook
from tests.api.http.responses import mistakes, refusal
from tests.webhooks.examples import DELIVERIES, URL, WEBHOOKS

pytestmark = pytest.mark.both_databases

ALERTS = {"name": "Alerts", "url": URL}


@pytest.fixture(autouse=True)
def _default_settings(settings):
    settings.OUTGOING_PRIVATE_ADDRESSES = []


@pytest.fixture
def made(api, secrets):
    """A webhook created through the API."""
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


def test_create_webhook_shows_its_secret_once(api, made):
    shown = api.get(at(made)).json()

    assert made == {**shown, "secret": secret_of(made)}
    assert {key: shown[key] for key in ("owner", "name", "url", "events", "label", "enabled")} == {
        "owner": "tests",
        "name": "Alerts",
        "url": URL,
        "events": [],
        "label": "",
        "enabled": True,
    }
    assert api.get(WEBHOOKS).json()["results"] == [shown]


def test_create_webhook_as_dry_run_stores_nothing_and_shows_no_secret(api):
    response = api.post(f"{WEBHOOKS}?dry_run=true", ALERTS)

    assert response.status_code == 200
    assert (response.json()["id"], response.json()["secret"]) == (None, None)
    assert not Webhook.objects.exists()


def test_create_webhook_repeated_with_its_idempotency_key_shows_no_secret(api):
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
def test_create_webhook_with_a_mistake_is_refused_with_its_pointer(api, body, mistake):
    response = api.post(WEBHOOKS, body)

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [mistake]
    assert not Webhook.objects.exists()


def test_create_webhook_with_host_at_a_private_address_is_refused(api, monkeypatch):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["8.8.8.8", "10.0.0.1"])

    response = api.post(WEBHOOKS, {**ALERTS, "url": "https://intranet.example/"})

    assert mistakes(response) == [("/url", "address_not_allowed")]
    assert "10.0.0.1" not in response.json()["detail"]


def test_create_webhook_with_unresolvable_host_is_accepted(api, secrets, monkeypatch):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: [])

    assert make(api, secrets, url="https://soon.example/")["url"] == "https://soon.example/"


def test_create_webhook_with_allowed_private_address_is_accepted(api, secrets, settings):
    settings.OUTGOING_PRIVATE_ADDRESSES = [ip_network("10.0.0.0/8")]

    assert make(api, secrets, url="http://10.1.2.3/")["url"] == "http://10.1.2.3/"


def test_webhook_is_changed_and_replaced(api, made):
    changed = api.patch(at(made), {"events": ["run.lost", "run.failed", "run.lost"]})
    assert changed.json()["events"] == ["run.failed", "run.lost"]

    replaced = api.put(at(made), {**ALERTS, "label": "team=billing"})
    assert (replaced.json()["events"], replaced.json()["label"]) == ([], "team=billing")
    assert secret_of(made) == made["secret"]


def test_change_webhook_to_a_private_address_is_refused(api, made):
    response = api.patch(at(made), {"url": "http://127.0.0.1/"})

    assert mistakes(response) == [("/url", "address_not_allowed")]
    assert Webhook.objects.get().url == URL


def test_change_webhook_with_stale_if_match_is_refused(api, made):
    response = api.patch(at(made), {"enabled": False}, HTTP_IF_MATCH='"another"')

    assert refusal(response) == (412, "revision_mismatch")


def test_enable_webhook_clears_the_reason_why_it_was_disabled(api, made):
    Webhook.objects.update(
        enabled=False, disabled_at=datetime.now(UTC), disabled_reason="It failed."
    )
    shown = api.get(at(made)).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "It failed.")

    shown = api.patch(at(made), {"enabled": True}).json()

    assert (shown["enabled"], shown["disabled_at"], shown["disabled_reason"]) == (True, None, "")


def test_delete_webhook_deletes_its_deliveries(api, made):
    api.post(at(made, "ping"))

    assert api.delete(at(made)).status_code == 204

    assert not Webhook.objects.exists()
    assert not Delivery.objects.exists()
    assert refusal(api.get(at(made))) == (404, "not_found")


@pytest.mark.parametrize("query", [{"enabled": "true"}, {"name": "Alerts"}, {"ordering": "-name"}])
def test_filter_of_webhooks_selects_matches(api, made, query):
    assert [row["id"] for row in api.get(WEBHOOKS, query).json()["results"]] == [made["id"]]


@pytest.mark.parametrize("query", [{"enabled": "false"}, {"name": "Another"}])
def test_filter_of_webhooks_excludes_others(api, made, query):
    assert api.get(WEBHOOKS, query).json()["results"] == []


def test_create_webhook_beyond_the_limit_is_refused(api, secrets):
    for _ in range(MAX_WEBHOOKS):
        made = make(api, secrets)

    assert refusal(api.post(WEBHOOKS, ALERTS)) == (409, "too_many_webhooks")

    api.delete(at(made))
    make(api, secrets)


# --- Secrets ----------------------------------------------------------------------------------


def test_rotate_shows_the_new_secret_once_and_keeps_the_previous_one(api, made, secrets):
    began_at = datetime.now(UTC)

    response = api.post(at(made, "rotate"))

    shown = response.json()
    secrets.texts[shown["secret"].removeprefix("whsec_")] = "the new secret of a webhook"
    assert response.status_code == 200
    assert shown["secret"] == secret_of(made) != made["secret"]
    row = Webhook.objects.get()
    assert signing.restore_secret(row.previous_salt, row.previous_key_id) == made["secret"]
    assert row.previous_until >= began_at + timedelta(hours=24)
    assert "secret" not in api.get(at(made)).json()


def test_rotate_as_dry_run_changes_nothing_and_shows_no_secret(api, made):
    response = api.post(f"{at(made, 'rotate')}?dry_run=true")

    assert response.json()["secret"] is None
    assert secret_of(made) == made["secret"]


def test_rotate_repeated_with_its_idempotency_key_changes_nothing(api, made):
    api.post(at(made, "rotate"), headers={"Idempotency-Key": "once"})
    rotated = secret_of(made)

    again = api.post(at(made, "rotate"), headers={"Idempotency-Key": "once"})

    assert refusal(again) == (409, "answer_not_kept")
    assert again.headers["Location"].endswith(at(made))
    assert secret_of(made) == rotated


def test_audit_records_every_write_without_the_secret(api, made):
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


def test_ping_creates_a_due_delivery(api, made):
    response = api.post(at(made, "ping"))

    delivery = Delivery.objects.get()
    assert response.status_code == 202
    assert response.headers["Location"].endswith(f"{DELIVERIES}{delivery.pk}/")
    shown = response.json()
    assert (shown["id"], shown["webhook"], shown["type"]) == (
        delivery.pk,
        made["id"],
        "webhook.ping",
    )
    assert shown["payload"]["data"] == {"webhook": made["id"]}
    assert delivery.next_attempt_at <= datetime.now(UTC)


def test_ping_as_dry_run_creates_no_delivery(api, made):
    response = api.post(f"{at(made, 'ping')}?dry_run=true")

    assert (response.status_code, response.json()["id"]) == (200, None)
    assert not Delivery.objects.exists()


def test_ping_of_a_disabled_webhook_is_refused(api, made):
    api.patch(at(made), {"enabled": False})

    assert refusal(api.post(at(made, "ping"))) == (409, "webhook_disabled")
    assert not Delivery.objects.exists()


def test_pings_that_wait_are_bounded(api, made):
    accepted = [api.post(at(made, "ping")) for _ in range(MAX_WAITING_PINGS)]

    refused = api.post(at(made, "ping"))

    assert {answer.status_code for answer in accepted} == {202}
    assert refusal(refused) == (409, "too_many_waiting")
    assert Delivery.objects.count() == MAX_WAITING_PINGS
    Delivery.objects.filter(pk=accepted[0].json()["id"]).update(state="delivered")
    assert api.post(at(made, "ping")).status_code == 202
