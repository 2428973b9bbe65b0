"""Who hears of what."""

import json

import pytest
from django.db import transaction

from scheduler_api.runs.events import RunEvent
from scheduler_api.webhooks.fan_out import fan_out
from scheduler_api.webhooks.models import Delivery
from scheduler_api.webhooks.payloads import MAX_TEXT_LENGTH, run_data
from tests.api.runs.examples import NOON
from tests.webhooks.examples import account, happened, task_of, webhook_of

pytestmark = pytest.mark.django_db


def names_told() -> list[str]:
    """The names of the webhooks that are told, in their order."""
    return sorted(Delivery.objects.values_list("webhook__name", flat=True))


def told() -> Delivery:
    fan_out(now=NOON)
    return Delivery.objects.get()


def test_an_event_becomes_a_delivery_and_goes():
    owner = account()
    webhook, _ = webhook_of(owner)
    run = happened(task_of(owner))

    assert fan_out(now=NOON) == 1

    delivery = Delivery.objects.get()
    assert (delivery.webhook, delivery.run_id, delivery.type) == (webhook, run.pk, "run.failed")
    assert (delivery.state, delivery.attempts, delivery.next_attempt_at) == ("pending", 0, NOON)
    assert delivery.event_id.startswith("msg_")
    assert not RunEvent.objects.exists()
    assert fan_out(now=NOON) == 0


def test_the_payload_tells_of_the_run_and_of_its_exception_and_of_no_argument(canary):
    owner = account()
    webhook_of(owner)
    run = happened(
        task_of(owner),
        error_type="RuntimeError",
        error_message="as asked",
        traceback="Traceback",
        args=json.dumps([{"password": canary}]),
        kwargs=json.dumps({"password": canary}),
    )

    payload = json.loads(told().payload)

    assert payload.keys() == {"type", "timestamp", "data"}
    assert (payload["type"], payload["timestamp"]) == ("run.failed", "2027-06-01T12:00:00Z")
    assert payload["data"]["id"] == str(run.pk)
    assert payload["data"]["error"] == {"type": "RuntimeError", "message": "as asked"}
    assert not {"args", "kwargs", "result", "traceback"} & payload["data"].keys()


def test_a_payload_is_small_however_much_there_is_to_tell():
    owner = account()
    webhook_of(owner)
    happened(task_of(owner), error_type="E", error_message="m" * 65_536, reason="r" * 65_536)

    payload = told().payload

    assert len(payload) < 3 * MAX_TEXT_LENGTH
    assert json.loads(payload)["data"]["error"]["message"] == "m" * MAX_TEXT_LENGTH


def test_a_run_without_an_exception_has_no_error():
    owner = account()
    webhook_of(owner)
    happened(task_of(owner), "run.missed", state="missed")

    assert json.loads(told().payload)["data"]["error"] is None


@pytest.mark.parametrize(
    ("events", "is_told"),
    [([], True), (["run.failed"], True), (["run.lost", "run.missed"], False)],
)
def test_a_webhook_hears_of_the_events_that_it_names(events, is_told):
    owner = account()
    webhook_of(owner, events=events)
    happened(task_of(owner), "run.failed")

    fan_out(now=NOON)

    assert Delivery.objects.exists() is is_told


@pytest.mark.parametrize("kind", RunEvent.Kind.values)
def test_each_kind_is_told(kind):
    owner = account()
    webhook_of(owner, events=[kind])
    happened(task_of(owner), kind)

    assert told().type == kind


@pytest.mark.parametrize(
    ("label", "is_told"),
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
def test_a_webhook_hears_of_periodic_tasks_with_its_labels(label, is_told):
    owner = account()
    webhook_of(owner, label=label)
    happened(task_of(owner, team="billing", tier="1"))

    fan_out(now=NOON)

    assert Delivery.objects.exists() is is_told


def test_of_a_deleted_periodic_task_those_hear_who_ask_for_no_label():
    owner = account()
    webhook_of(owner, name="all")
    webhook_of(owner, name="labelled", label="team")
    task = task_of(owner, team="billing")
    happened(task)
    task.delete()

    fan_out(now=NOON)

    assert names_told() == ["all"]


def test_all_webhooks_of_an_account_are_told_under_one_id():
    owner = account()
    for name in ("first", "second"):
        webhook_of(owner, name=name)
    webhook_of(owner, name="disabled", enabled=False)
    happened(task_of(owner))

    fan_out(now=NOON)

    assert names_told() == ["first", "second"]
    assert Delivery.objects.values("event_id").distinct().count() == 1


def test_nobody_hears_of_others_runs_and_of_nobodys_hears_who_sees_them():
    accounts = {
        "owner": account("owner"),
        "other": account("other"),
        "seer": account("seer", sees_unowned=True),
        "admin": account("admin", scopes=["admin"]),
    }
    for name, owner in accounts.items():
        webhook_of(owner, name=name)
    happened(task_of(accounts["owner"]))
    fan_out(now=NOON)
    assert names_told() == ["owner"]

    Delivery.objects.all().delete()
    happened(task_of(None))
    fan_out(now=NOON)
    assert names_told() == ["admin", "seer"]


def test_an_event_whose_run_is_gone_is_not_told_and_that_is_logged(caplog):
    owner = account()
    webhook_of(owner)
    happened(task_of(owner)).delete()

    assert fan_out(now=NOON) == 1

    assert not Delivery.objects.exists()
    assert "the run was deleted" in caplog.text


def test_one_that_cannot_be_told_stops_no_other(monkeypatch, caplog):
    owner = account()
    webhook_of(owner)
    broken, whole = happened(task_of(owner)), happened(task_of(owner))

    def tell(run):
        return run_data(run) if run.pk == whole.pk else 1 / 0

    monkeypatch.setattr("scheduler_api.webhooks.fan_out.run_data", tell)
    assert fan_out(now=NOON) == 2

    assert Delivery.objects.get().run_id == whole.pk
    assert f"No webhook receives run.failed of run {broken.pk}" in caplog.text


def test_there_may_be_more_events_than_are_read_at_once(monkeypatch):
    monkeypatch.setattr("scheduler_api.webhooks.fan_out.BATCH_SIZE", 2)
    owner = account()
    webhook_of(owner)
    task = task_of(owner)
    for _ in range(5):
        happened(task)

    assert fan_out(now=NOON) == 5
    assert Delivery.objects.count() == 5


def test_the_event_stays_where_its_deliveries_could_not_be_stored(monkeypatch):
    owner = account()
    webhook_of(owner)
    happened(task_of(owner))

    def fail(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(Delivery.objects, "bulk_create", fail)
    with pytest.raises(RuntimeError), transaction.atomic():
        fan_out(now=NOON)

    assert RunEvent.objects.count() == 1


def test_it_takes_as_many_queries_for_many_events_as_for_one(django_assert_max_num_queries):
    owner = account()
    for _ in range(5):
        webhook_of(owner)
    for _ in range(20):
        happened(task_of(owner))

    with django_assert_max_num_queries(11):
        fan_out(now=NOON)
