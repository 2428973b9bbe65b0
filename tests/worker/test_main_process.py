"""Records of runs in the main process of a worker."""

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


def test_run_of_an_unknown_task_stays_queued_with_a_reason(deliver):
    run_id, running_id = run(), run(state="running", started_at=NOON)

    for pk in (run_id, running_id, "of-somebody-else"):
        main_process.note_unknown_task(pk, "tests.gone", worker="celery@here")

    noted, running = Run.objects.get(pk=run_id), Run.objects.get(pk=running_id)
    assert (noted.state, noted.finished_at) == ("queued", None)
    assert noted.reason == main_process.UNKNOWN.format("celery@here", "tests.gone")
    assert (running.state, running.reason) == ("running", "")


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
