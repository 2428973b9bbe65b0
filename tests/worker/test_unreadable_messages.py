"""Messages that a worker drops because it cannot read them end their runs."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from celery import signals as celery_signals
from celery.exceptions import InvalidTaskError
from celery.worker.consumer.consumer import Consumer
from kombu.exceptions import ContentDisallowed, DecodeError

from scheduler_api.runs.models import Run
from scheduler_api.worker import unreadable_messages
from scheduler_api.worker.unreadable_messages import UNREADABLE, is_call
from tests.worker.runs import run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def message_of(run_id: str, **headers: str) -> Any:
    return SimpleNamespace(
        headers={"id": run_id, "task": "tests.noted", **headers},
        body=b"\xff",
        content_type="application/x-other",
        content_encoding="binary",
        delivery_info={},
        properties={},
        acknowledged=[],
        ack=lambda: None,
    )


def refuse(message: Any, error: Exception | None) -> None:
    celery_signals.task_rejected.send(sender=None, message=message, exc=error)


def drop(message: Any, error: Exception | None) -> None:
    Consumer.on_decode_error(SimpleNamespace(), message, error)


@pytest.mark.parametrize(
    ("end", "error", "error_type"),
    [
        (refuse, ContentDisallowed("pickle"), "ContentDisallowed"),
        (refuse, None, ""),
        (drop, DecodeError("not JSON"), "DecodeError"),
    ],
)
def test_message_that_a_worker_cannot_read_fails_the_run(recorder, end, error, error_type):
    ours, other = run(), run()

    end(message_of(ours, periodic_task_name="Heartbeat"), error)
    end(message_of(other), error)

    failed = Run.objects.get(pk=ours)
    assert (failed.state, failed.reason, failed.error_type) == ("failed", UNREADABLE, error_type)
    assert Run.objects.get(pk=other).state == "queued"


def test_rejected_message_without_headers_changes_nothing(recorder):
    run()

    refuse(SimpleNamespace(headers=None), None)

    assert Run.objects.get().state == "queued"


@pytest.mark.parametrize(
    ("payload", "is_read"),
    [
        ([[], {}, {}], True),
        (((), {}, None), True),
        ({"args": []}, True),
        ([1], False),
        ([[], {}, 1], False),
        ({}, False),
        ("text", False),
        (1, False),
        (None, False),
    ],
)
def test_only_a_body_of_a_call_is_read(payload, is_read):
    assert is_call(payload) is is_read


def test_strategy_of_a_task_refuses_a_body_that_is_no_call(monkeypatch):
    read: list[object] = []
    monkeypatch.setattr(
        unreadable_messages, "celery_start_strategy", lambda *_: lambda *message: read.append(1)
    )
    task = current_app.tasks["celery.accumulate"]
    handle = task.start_strategy(current_app, None)

    with pytest.raises(InvalidTaskError, match="The body is no call"):
        handle(SimpleNamespace(payload=[1]), None)
    handle(SimpleNamespace(payload=[[], {}, {}]), None)

    assert read == [1]
