"""Worker processes are killed: each run ends, and no run starts more often than allowed.

A kill hits one child process or the whole worker. Half of the periodic tasks allow one attempt,
half allow many, so that their runs must succeed.
"""

import os
import random
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from tests.faults import definitions
from tests.faults.arm import Arm
from tests.faults.attempts import (
    NOT_ENDED,
    AttemptedRun,
    Mark,
    judge_attempts,
    judge_marks,
)
from tests.faults.evidence import Definition
from tests.faults.overlapping import TrialFactory
from tests.faults.processes import Process, prefork_worker, wait_until
from tests.faults.site import from_timestamp, whole_lines
from tests.faults.tasks import ENDED
from tests.faults.trial import TRIAL_RESULTS, Trial, TrialResult, scaled

ONCE, OFTEN = 1, 100
TASKS_OF_EACH = 12
RUN_SECONDS = 26
PAUSE_SECONDS = 2  # average time between kills
START_TIMEOUT_SECONDS = 120
WORKERS = 2
LEASE_SECONDS = 5
# Beat detects lost runs and retries them; a run may be lost more than once.
SETTLE_TIMEOUT_SECONDS = 300
# If a worker is killed before it reports the start, its message is gone: beat waits this long
# before it declares the run lost.
MAX_RUNTIME_SECONDS = 45
INTERVAL = timedelta(seconds=1)
SELECT_RUNS = """
SELECT id, periodic_task_name, state, slot_at, attempts, reason
FROM scheduler_api_run WHERE slot_at IS NOT NULL
"""


def test_killed_workers_end_each_run_within_its_attempts(
    make_trial: TrialFactory, rng: random.Random
) -> None:
    killed = make_trial("14 workers killed")
    workers = {arm.name: workers_of(arm) for arm in killed.arms}
    try:
        for arm in killed.arms:
            arm.add_beat(QUEUES=queue_of(arm), FAULTS_LEASE=str(LEASE_SECONDS))
            for each in workers[arm.name]:
                each.start()
        killed.restart()
        for each in (each for arm_workers in workers.values() for each in arm_workers):
            wait_until(
                lambda each=each: is_ready(each),
                timeout_seconds=START_TIMEOUT_SECONDS,
                details=each.output,
            )
        max_attempts = define(killed)
        kill_at_random(killed, workers, rng)
        until = datetime.now(UTC)
        judge(killed, workers, until=until, max_attempts=max_attempts)
    finally:
        for each in (each for arm_workers in workers.values() for each in arm_workers):
            each.close()
    killed.assert_ours_is_right()
    killed.assert_stock_fails()


def queue_of(arm: Arm) -> str:
    return f"{arm.prefix}queue"


def workers_of(arm: Arm) -> list[Process]:
    """Return the arm's own workers: with the ledger for ours, plain Celery for stock."""
    variables = {
        "DATABASE_URL": arm.url,
        "QUEUES": queue_of(arm),
        "FAULTS_LEASE": str(LEASE_SECONDS),
    }
    if arm.name == "ours":
        variables["FAULTS_RECORDED"] = "1"
    return [
        prefork_worker(
            name=f"{arm.prefix}{number}",
            log=arm.folder / f"worker-{number}.log",
            environ=arm.site.environ(**variables),
        )
        for number in range(WORKERS)
    ]


def define(killed: Trial) -> dict[str, int]:
    """Insert the periodic tasks of both arms; return the allowed attempts by task name."""
    max_attempts: dict[str, int] = {}
    for arm in killed.arms:
        for allowed in (ONCE, OFTEN):
            defined = arm.define(
                f"{allowed}-times",
                start_at=datetime.now(UTC) + 3 * INTERVAL,
                count=TASKS_OF_EACH,
                interval=INTERVAL,
                policies={
                    "max_attempts": allowed,
                    "retry_backoff_seconds": 1,
                    "max_runtime_seconds": MAX_RUNTIME_SECONDS,
                },
                task="tests.faults.tasks.record_marks",
                kwargs='{"seconds": 0.1}',
                queue=queue_of(arm),
            )
            max_attempts |= {each.name: allowed for each in defined}
    return max_attempts


def kill_at_random(killed: Trial, workers: dict[str, list[Process]], rng: random.Random) -> None:
    """Repeatedly kill one child process or a whole worker, for scaled(RUN_SECONDS)."""
    ends_at = time.monotonic() + scaled(RUN_SECONDS)
    while time.monotonic() < ends_at:
        killed.run_for(PAUSE_SECONDS * rng.uniform(0.5, 1.5))
        number, is_whole, fraction = rng.randrange(WORKERS), rng.random() < 0.5, rng.random()
        victims = [arm_workers[number] for arm_workers in workers.values()]
        # A worker killed again while it starts would never run a task.
        wait_until(
            lambda victims=victims: all(map(is_ready, victims)),
            timeout_seconds=START_TIMEOUT_SECONDS,
        )
        for worker in victims:
            kill(worker, is_whole=is_whole, fraction=fraction)


def is_ready(worker: Process) -> bool:
    """Return whether a worker accepts tasks; restart it if it has exited."""
    if not worker.is_alive():
        worker.start()
    return " ready." in worker.output()


def kill(worker: Process, *, is_whole: bool, fraction: float) -> None:
    """Kill and restart a worker, or kill the child process that `fraction` selects."""
    children = worker.children()
    if is_whole or not children:
        worker.close()
        worker.start()
        return
    with suppress(ProcessLookupError):
        os.kill(children[int(fraction * len(children))], signal.SIGKILL)


def judge(
    killed: Trial,
    workers: dict[str, list[Process]],
    *,
    until: datetime,
    max_attempts: dict[str, int],
) -> None:
    """Disable all periodic tasks, wait until all runs have ended, and judge both arms."""
    for arm in killed.arms:
        with arm.connect() as connection:
            connection.execute("UPDATE django_celery_beat_periodictask SET enabled = false")
            definitions.mark_changed(connection)
    if ours := next((arm for arm in killed.arms if arm.name == "ours"), None):
        with suppress(AssertionError):  # the checker reports the runs that have not ended
            wait_until(
                lambda: not any(row.state in NOT_ENDED for row in rows_of(ours)),
                timeout_seconds=SETTLE_TIMEOUT_SECONDS,
            )
    wait_until_quiet(killed)
    for arm in killed.arms:
        if arm.name == "ours":
            judged = [with_until(each, until) for each in arm.definitions]
            report = judge_attempts(judged, rows_of(arm), marks_of(arm), max_attempts=max_attempts)
        else:
            report = judge_marks(marks_of(arm))
        killed.reports[arm.name] = report
        TRIAL_RESULTS.append(
            TrialResult(fault=killed.fault, seed=killed.seed, arm=arm.name, report=report)
        )


def wait_until_quiet(killed: Trial) -> None:
    """Wait until no run has begun or ended for a while: the stock arm has no ledger to ask."""
    counts = [-1]

    def is_quiet() -> bool:
        counts.append(sum(len(marks_of(arm)) for arm in killed.arms))
        time.sleep(0.5)
        return len(counts) > 6 and counts[-1] == counts[-6]

    wait_until(is_quiet, timeout_seconds=SETTLE_TIMEOUT_SECONDS)


def with_until(definition: Definition, until: datetime) -> Definition:
    return Definition(name=definition.name, slots=definition.slots, until=until - INTERVAL)


def rows_of(arm: Arm) -> list[AttemptedRun]:
    names = ["id", "name", "state", "slot_at", "attempts", "reason"]
    with arm.connect() as connection:
        found = [dict(zip(names, row, strict=True)) for row in connection.execute(SELECT_RUNS)]
    return [
        AttemptedRun(**(row | {"id": str(row["id"])}))
        for row in found
        if row["name"].startswith(arm.prefix)
    ]


def marks_of(arm: Arm) -> list[Mark]:
    lines = whole_lines(arm.site.folder / "marks")
    found = (line.split("\t") for line in lines)
    return [
        Mark(id=run, name=name, at=from_timestamp(float(at)), is_end=kind == ENDED)
        for kind, run, name, at in found
        if name.startswith(arm.prefix)
    ]
