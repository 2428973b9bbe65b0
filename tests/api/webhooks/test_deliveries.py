"""Deliveries over HTTP: list, retrieve, redeliver."""

import uuid
from datetime import UTC, datetime

import pytest

from scheduler_api.access.models import AuditEntry
from scheduler_api.webhooks import actions
from tests.api.access.callers import account_of
from tests.api.http.responses import refusal
from tests.api.runs.examples import NOON
from tests.webhooks.examples import DELIVERIES, due_delivery, webhook_of

pytestmark = pytest.mark.both_databases


@pytest.fixture
def webhook(api):
    return webhook_of(account_of("tests"))[0]


def at(delivery, *parts):
    return "/".join([f"{DELIVERIES}{delivery.pk}", *parts, ""])


def errors(response):
    """Return the errors on a page, in order: these tests identify deliveries by them."""
    return [row["last_error"] for row in response.json()["results"]]


def test_retrieve_delivery_shows_all_fields(api, webhook):
    run_id = uuid.uuid4()
    delivery = due_delivery(webhook, run_id=run_id, last_status=500, last_error="500", attempts=2)

    assert api.get(at(delivery)).json() == {
        "id": delivery.pk,
        "webhook": webhook.pk,
        "event_id": delivery.event_id,
        "type": "run.failed",
        "run": str(run_id),
        "state": "pending",
        "attempts": 2,
        "next_attempt_at": "2027-06-01T12:00:00Z",
        "last_status": 500,
        "last_error": "500",
        "created_at": "2027-06-01T12:00:00Z",
        "delivered_at": None,
        "payload": {"type": "run.failed"},
    }


def test_list_of_deliveries_is_newest_first_without_payloads(api, webhook):
    for number in range(3):
        due_delivery(webhook, last_error=str(number))

    page = api.get(DELIVERIES, {"page_size": 2})

    assert errors(page) == ["2", "1"]
    assert "payload" not in page.json()["results"][0]
    assert errors(api.get(page.json()["next"])) == ["0"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "dead"}, ["dead"]),
        ({"state": "dead,pending"}, ["pending", "dead"]),
        ({"type": "webhook.ping"}, ["pending"]),
        ({"event_id": "msg_dead"}, ["dead"]),
        ({"webhook": "{webhook}"}, ["pending", "dead"]),
        ({"webhook": "999999"}, []),
        ({"created_at_after": "2027-06-01T12:00:00Z"}, ["pending"]),
        ({"created_at_before": "2027-06-01T12:00:00Z"}, ["dead"]),
    ],
)
def test_filter_of_deliveries_selects_matches(api, webhook, query, found):
    due_delivery(
        webhook,
        state="dead",
        last_error="dead",
        event_id="msg_dead",
        created_at=NOON.replace(hour=11),
    )
    due_delivery(webhook, last_error="pending", type="webhook.ping")

    query = {name: text.format(webhook=webhook.pk) for name, text in query.items()}
    assert errors(api.get(DELIVERIES, query)) == found


@pytest.mark.parametrize(
    "columns",
    [
        {"state": "dead", "attempts": 10, "next_attempt_at": None},
        {"state": "delivered", "attempts": 1, "next_attempt_at": None, "delivered_at": NOON},
        {"state": "pending", "attempts": 7, "next_attempt_at": NOON},
    ],
)
def test_redeliver_in_every_state_makes_the_delivery_due(api, webhook, columns):
    delivery = due_delivery(webhook, **columns)

    response = api.post(at(delivery, "redeliver"))

    shown = response.json()
    assert response.status_code == 200
    assert (shown["state"], shown["attempts"], shown["delivered_at"]) == ("pending", 0, None)
    assert shown["event_id"] == delivery.event_id
    delivery.refresh_from_db()
    assert delivery.next_attempt_at <= datetime.now(UTC)
    entry = AuditEntry.objects.get()
    assert (entry.operation, entry.object_type) == ("redeliver", "delivery")


def test_redeliver_as_dry_run_changes_nothing(api, webhook):
    delivery = due_delivery(webhook, state="dead")

    response = api.post(f"{at(delivery, 'redeliver')}?dry_run=true")

    assert (response.status_code, response.json()["state"]) == (200, "pending")
    delivery.refresh_from_db()
    assert delivery.state == "dead"


def test_redeliver_to_a_disabled_webhook_is_refused(api, webhook):
    delivery = due_delivery(webhook, state="dead")
    webhook.enabled = False
    webhook.save()

    assert refusal(api.post(at(delivery, "redeliver"))) == (409, "webhook_disabled")
    delivery.refresh_from_db()
    assert delivery.state == "dead"


def test_list_of_deliveries_with_unknown_filter_is_refused(api):
    assert refusal(api.get(DELIVERIES, {"colour": "red"})) == (400, "invalid_query")
    assert refusal(api.get(DELIVERIES, {"state": "lost"})) == (400, "invalid_query")


def test_redeliveries_that_wait_are_bounded(api, webhook, monkeypatch):
    monkeypatch.setattr(actions, "MAX_WAITING", 2)
    waiting = due_delivery(webhook)
    first, second = (due_delivery(webhook, state="dead", next_attempt_at=None) for _ in range(2))

    answers = [api.post(at(delivery, "redeliver")) for delivery in (first, second, waiting)]

    assert [answer.status_code for answer in answers] == [200, 409, 200]
    assert refusal(answers[1]) == (409, "too_many_waiting")
