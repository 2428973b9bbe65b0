"""Fan-out: the recipients and the payloads of events."""

import json

import pytest
from django.db import transaction

from scheduler_api.runs.events import RunEvent
from scheduler_api.webhooks.fan_out import fan_out
from scheduler_api.webhooks.models import Delivery
from scheduler_api.webhooks.payloads import MAX_TEXT_LENGTH, run_data
from tests.api.runs.examples import NOON
from tests.webhooks.examples import account, store_event, task_of, webhook_of

pytestmark = pytest.mark.django_db


def recipients() -> list[str]:
    """Return the sorted names of the webhooks with a delivery."""
    return sorted(Delivery.objects.values_list("webhook__name", flat=True))


def only_delivery() -> Delivery:
    fan_out(now=NOON)
    return Delivery.objects.get()


def test_fan_out_replaces_an_event_by_a_delivery():
    owner = account()
    webhook, _ = webhook_of(owner)
    run = store_event(task_of(owner))

    assert fan_out(now=NOON) == 1

    delivery = Delivery.objects.get()
    assert (delivery.webhook, delivery.run_id, delivery.type) == (webhook, run.pk, "run.failed")
    assert (delivery.state, delivery.attempts, delivery.next_attempt_at) == ("pending", 0, NOON)
    assert delivery.event_id.startswith("msg_")
    assert not RunEvent.objects.exists()
    assert fan_out(now=NOON) == 0


def test_payload_contains_the_run_and_its_error_but_no_arguments(canary):
    owner = account()
    webhook_of(owner)
    run = store_event(
        task_of(owner),
        error_type="RuntimeError",
        error_message="as asked",
        traceback="Traceback",
        args=json.dumps([{"password": canary}]),
        kwargs=json.dumps({"password": canary}),
    )

    payload = json.loads(only_delivery().payload)

    assert payload.keys() == {"type", "timestamp", "data"}
    assert (payload["type"], payload["timestamp"]) == ("run.failed", "2027-06-01T12:00:00Z")
    assert payload["data"]["id"] == str(run.pk)
    assert payload["data"]["error"] == {"type": "RuntimeError", "message": "as asked"}
    assert not {"args", "kwargs", "result", "traceback"} & payload["data"].keys()


def test_payload_of_a_long_error_is_cut():
    owner = account()
    webhook_of(owner)
    store_event(task_of(owner), error_type="E", error_message="m" * 65_536, reason="r" * 65_536)

    payload = only_delivery().payload

    assert len(payload) < 3 * MAX_TEXT_LENGTH
    assert json.loads(payload)["data"]["error"]["message"] == "m" * MAX_TEXT_LENGTH


def test_payload_of_a_run_without_exception_has_no_error():
    owner = account()
    webhook_of(owner)
    store_event(task_of(owner), "run.missed", state="missed")

    assert json.loads(only_delivery().payload)["data"]["error"] is None


@pytest.mark.parametrize(
    ("events", "is_sent"),
    [([], True), (["run.failed"], True), (["run.lost", "run.missed"], False)],
)
def test_webhook_receives_only_events_it_subscribes_to(events, is_sent):
    owner = account()
    webhook_of(owner, events=events)
    store_event(task_of(owner), "run.failed")

    fan_out(now=NOON)

    assert Delivery.objects.exists() is is_sent


@pytest.mark.parametrize("kind", RunEvent.Kind.values)
def test_event_of_each_kind_is_delivered(kind):
    owner = account()
    webhook_of(owner, events=[kind])
    store_event(task_of(owner), kind)

    assert only_delivery().type == kind


@pytest.mark.parametrize(
    ("label", "is_sent"),
    [
        ("", True),
        ("team", True),
        ("team=billing", True),
        ("team=billing,tier=1", True),
        ("team=billing,tier=2", False),
        ("team=", False),
        ("owner", False),
    ],
)
def test_webhook_receives_only_events_of_tasks_with_its_labels(label, is_sent):
    owner = account()
    webhook_of(owner, label=label)
    store_event(task_of(owner, team="billing", tier="1"))

    fan_out(now=NOON)

    assert Delivery.objects.exists() is is_sent


def test_event_of_a_deleted_task_reaches_only_webhooks_without_label():
    owner = account()
    webhook_of(owner, name="all")
    webhook_of(owner, name="labelled", label="team")
    task = task_of(owner, team="billing")
    store_event(task)
    task.delete()

    fan_out(now=NOON)

    assert recipients() == ["all"]


def test_deliveries_of_one_event_share_their_event_id():
    owner = account()
    for name in ("first", "second"):
        webhook_of(owner, name=name)
    webhook_of(owner, name="disabled", enabled=False)
    store_event(task_of(owner))

    fan_out(now=NOON)

    assert recipients() == ["first", "second"]
    assert Delivery.objects.values("event_id").distinct().count() == 1


def test_event_reaches_only_webhooks_whose_owner_may_see_the_run():
    accounts = {
        "owner": account("owner"),
        "other": account("other"),
        "seer": account("seer", sees_unowned=True),
        "admin": account("admin", scopes=["admin"]),
    }
    for name, owner in accounts.items():
        webhook_of(owner, name=name)
    store_event(task_of(accounts["owner"]))
    fan_out(now=NOON)
    assert recipients() == ["owner"]

    Delivery.objects.all().delete()
    store_event(task_of(None))
    fan_out(now=NOON)
    assert recipients() == ["admin", "seer"]


def test_event_of_a_deleted_run_is_discarded_and_logged(caplog):
    owner = account()
    webhook_of(owner)
    store_event(task_of(owner)).delete()

    assert fan_out(now=NOON) == 1

    assert not Delivery.objects.exists()
    assert "the run was deleted" in caplog.text


def test_event_without_a_payload_does_not_block_others(monkeypatch, caplog):
    owner = account()
    webhook_of(owner)
    broken, whole = store_event(task_of(owner)), store_event(task_of(owner))

    def fail_for_broken(run):
        return run_data(run) if run.pk == whole.pk else 1 / 0

    monkeypatch.setattr("scheduler_api.webhooks.fan_out.run_data", fail_for_broken)
    assert fan_out(now=NOON) == 2

    assert Delivery.objects.get().run_id == whole.pk
    assert f"No webhook receives run.failed of run {broken.pk}" in caplog.text


def test_fan_out_reads_events_in_batches(monkeypatch):
    monkeypatch.setattr("scheduler_api.webhooks.fan_out.BATCH_SIZE", 2)
    owner = account()
    webhook_of(owner)
    task = task_of(owner)
    for _ in range(5):
        store_event(task)

    assert fan_out(now=NOON) == 5
    assert Delivery.objects.count() == 5


def test_event_stays_if_its_deliveries_cannot_be_stored(monkeypatch):
    owner = account()
    webhook_of(owner)
    store_event(task_of(owner))

    def fail(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(Delivery.objects, "bulk_create", fail)
    with pytest.raises(RuntimeError), transaction.atomic():
        fan_out(now=NOON)

    assert RunEvent.objects.count() == 1


def test_fan_out_uses_a_constant_number_of_queries(django_assert_max_num_queries):
    owner = account()
    for _ in range(5):
        webhook_of(owner)
    for _ in range(20):
        store_event(task_of(owner))

    with django_assert_max_num_queries(12):
        fan_out(now=NOON)
