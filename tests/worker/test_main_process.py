"""Records of runs in the main process of a worker."""

from types import SimpleNamespace
from typing import Any

import pytest
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import current_app
from celery import signals as celery_signals
from celery.app.task import Context

from scheduler_api.runs.models import Run
from scheduler_api.worker import main_process, signals
from scheduler_api.worker.fork_lock import fork_lock
from tests.api.runs.examples import NOON
from tests.worker.runs import run, stored_run

pytestmark = pytest.mark.django_db

OF_BEAT = {"periodic_task_name": "Heartbeat"}


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (TimeLimitExceeded(3), "failed", signals.HARD_LIMIT),
        (WorkerLostError("signal 9"), "lost", signals.LOST),
    ],
)
def test_lost_process_ends_the_run_in_the_main_process(deliver, error, state, reason):
    run_id = run(state="running", started_at=NOON)

    celery_signals.task_failure.send(
        sender=current_app.tasks["tests.noted"],
        task_id=run_id,
        exception=error,
        args=(),
        kwargs={},
        traceback=None,
        einfo=None,
    )

    assert (stored_run().state, stored_run().reason) == (state, reason)
    assert stored_run().error_type == type(error).__name__


def test_main_process_holds_the_fork_lock_while_it_writes(deliver, monkeypatch):
    seen: list[bool] = []

    def look(*_: Any, **__: Any) -> bool:
        # What `os.fork` waits for.
        seen.append(fork_lock.is_locked)
        return True

    main_process.finish_in_main_process(look, run(state="running"), state="lost")

    assert seen == [True]
    assert not fork_lock.is_locked


def test_unknown_task_fails_the_run(deliver):
    run_id, other_id = run(), run()

    for pk, headers in ((run_id, OF_BEAT), (other_id, {})):
        celery_signals.task_unknown.send(
            sender=None,
            message=SimpleNamespace(headers=headers),
            exc=KeyError("tests.gone"),
            name="tests.gone",
            id=pk,
        )

    failed = Run.objects.get(pk=run_id)
    assert (failed.state, failed.error_type) == ("failed", "NotRegistered")
    assert failed.reason == main_process.UNKNOWN.format("tests.gone")
    assert Run.objects.get(pk=other_id).state == "queued"


@pytest.mark.parametrize(
    ("flags", "state", "reason"),
    [
        ({"terminated": False, "expired": True}, "expired", main_process.EXPIRED),
        ({"terminated": False, "expired": False}, "cancelled", main_process.REVOKED),
        ({"terminated": True, "expired": False}, "cancelled", main_process.TERMINATED),
    ],
)
def test_revoked_message_ends_the_run(deliver, flags, state, reason):
    run_id = run()

    for request in (Context(id=run_id, **OF_BEAT), Context(id="of-somebody-else")):
        celery_signals.task_revoked.send(
            sender=current_app.tasks["tests.noted"], request=request, signum=None, **flags
        )

    assert (stored_run().state, stored_run().reason) == (state, reason)
