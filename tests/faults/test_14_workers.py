"""Workers are killed, one process or all of them: each run ends, and none starts too often.

Half of the periodic tasks let a run start once, the others until it has succeeded.
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
PAUSE_SECONDS = 2  # from one kill to the next
START_TIMEOUT_SECONDS = 120
WORKERS = 2
LEASE_SECONDS = 5
# Beat finds what is lost, and it starts again: that may happen to a run more than once.
SETTLE_TIMEOUT_SECONDS = 300
# A message may be gone with a worker that was killed before it told of the start: beat waits.
MAX_RUNTIME_SECONDS = 45
INTERVAL = timedelta(seconds=1)
SELECT_RUNS = """
SELECT id, periodic_task_name, state, slot_at, attempts, reason
FROM scheduler_api_run WHERE slot_at IS NOT NULL
"""


def test_workers_are_killed(make_trial: TrialFactory, rng: random.Random) -> None:
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
    """Return workers of its own: recorded, or as Celery has them."""
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
    """Define the periodic tasks of both arms; return how often a run of each may start."""
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
    """Kill one process of a worker, or all of it, now and then, until the time is up."""
    ends_at = time.monotonic() + scaled(RUN_SECONDS)
    while time.monotonic() < ends_at:
        killed.run_for(PAUSE_SECONDS * rng.uniform(0.5, 1.5))
        number, is_whole, fraction = rng.randrange(WORKERS), rng.random() < 0.5, rng.random()
        victims = [arm_workers[number] for arm_workers in workers.values()]
        # One that is killed while it starts would never run anything.
        wait_until(
            lambda victims=victims: all(map(is_ready, victims)),
            timeout_seconds=START_TIMEOUT_SECONDS,
        )
        for worker in victims:
            kill(worker, is_whole=is_whole, fraction=fraction)


def is_ready(worker: Process) -> bool:
    """Tell whether a worker runs tasks; start one that has variables up."""
    if not worker.is_alive():
        worker.start()
    return " ready." in worker.output()


def kill(worker: Process, *, is_whole: bool, fraction: float) -> None:
    """Kill a worker, and start it again at once; or one of its processes, as its number says."""
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
    """Let beat send no more slots, wait until all runs have ended, and judge both arms."""
    for arm in killed.arms:
        with arm.connect() as connection:
            connection.execute("UPDATE django_celery_beat_periodictask SET enabled = false")
            definitions.mark_changed(connection)
    if ours := next((arm for arm in killed.arms if arm.name == "ours"), None):
        with suppress(AssertionError):  # the checker says which have not ended
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
    """Wait until nothing has begun or ended for a while: of the stock arm nobody knows more."""
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
