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
    Attempted,
    Mark,
    judge_attempts,
    judge_marks,
)
from tests.faults.evidence import Definition
from tests.faults.overlapping import Make
from tests.faults.processes import Process, busy_worker, wait_until
from tests.faults.site import moment, whole_lines
from tests.faults.tasks import ENDED
from tests.faults.trial import OUTCOMES, Outcome, Trial, scaled

ONCE, OFTEN = 1, 100
TASKS_OF_EACH = 12
RUN_SECONDS = 26
PAUSE_SECONDS = 2  # from one kill to the next
START_SECONDS = 120
WORKERS = 2
LEASE_SECONDS = 5
# Beat finds what is lost, and it starts again: that may happen to a run more than once.
SETTLE_SECONDS = 300
# A message may be gone with a worker that was killed before it told of the start: beat waits.
MOST_SECONDS = 45
LENGTH = timedelta(seconds=1)
ATTEMPTED = """
SELECT id, periodic_task_name, state, slot_at, attempts, reason
FROM scheduler_api_run WHERE slot_at IS NOT NULL
"""


def test_workers_are_killed(trial: Make, chance: random.Random) -> None:
    killed = trial("14 workers killed")
    workers = {arm.name: workers_of(arm) for arm in killed.arms}
    try:
        for arm in killed.arms:
            arm.add_beat(QUEUES=queue_of(arm), FAULTS_LEASE=str(LEASE_SECONDS))
            for each in workers[arm.name]:
                each.start()
        killed.restart()
        for each in (each for mine in workers.values() for each in mine):
            wait_until(lambda each=each: is_ready(each), within=START_SECONDS, why=each.output)
        max_attempts = define(killed)
        kill_at_random(killed, workers, chance)
        until = datetime.now(UTC)
        judge(killed, workers, until=until, max_attempts=max_attempts)
    finally:
        for each in (each for mine in workers.values() for each in mine):
            each.close()
    killed.ours_is_right()
    killed.stock_fails()


def queue_of(arm: Arm) -> str:
    return f"{arm.prefix}queue"


def workers_of(arm: Arm) -> list[Process]:
    """Return workers of its own: recorded, or as Celery has them."""
    given = {"DATABASE_URL": arm.url, "QUEUES": queue_of(arm), "FAULTS_LEASE": str(LEASE_SECONDS)}
    if arm.name == "ours":
        given["FAULTS_RECORDED"] = "1"
    return [
        busy_worker(
            name=f"{arm.prefix}{number}",
            log=arm.folder / f"worker-{number}.log",
            environ=arm.site.environ(**given),
        )
        for number in range(WORKERS)
    ]


def define(killed: Trial) -> dict[str, int]:
    """Define the periodic tasks of both arms; return how often a run of each may start."""
    max_attempts: dict[str, int] = {}
    for arm in killed.arms:
        for most in (ONCE, OFTEN):
            defined = arm.define(
                f"{most}-times",
                start_at=datetime.now(UTC) + 3 * LENGTH,
                count=TASKS_OF_EACH,
                length=LENGTH,
                policies={
                    "max_attempts": most,
                    "retry_backoff_seconds": 1,
                    "max_runtime_seconds": MOST_SECONDS,
                },
                task="tests.faults.tasks.leave_marks",
                kwargs='{"seconds": 0.1}',
                queue=queue_of(arm),
            )
            max_attempts |= {each.name: most for each in defined}
    return max_attempts


def kill_at_random(
    killed: Trial, workers: dict[str, list[Process]], chance: random.Random
) -> None:
    """Kill one process of a worker, or all of it, now and then, until the time is up."""
    ends_at = time.monotonic() + scaled(RUN_SECONDS)
    while time.monotonic() < ends_at:
        killed.run_for(PAUSE_SECONDS * chance.uniform(0.5, 1.5))
        number, is_whole, nth = chance.randrange(WORKERS), chance.random() < 0.5, chance.random()
        victims = [mine[number] for mine in workers.values()]
        # One that is killed while it starts would never run anything.
        wait_until(lambda victims=victims: all(map(is_ready, victims)), within=START_SECONDS)
        for worker in victims:
            kill(worker, is_whole=is_whole, nth=nth)


def is_ready(worker: Process) -> bool:
    """Tell whether a worker runs tasks; start one that has given up."""
    if not worker.is_alive():
        worker.start()
    return " ready." in worker.output()


def kill(worker: Process, *, is_whole: bool, nth: float) -> None:
    """Kill a worker, and start it again at once; or one of its processes, as its number says."""
    children = worker.children()
    if is_whole or not children:
        worker.close()
        worker.start()
        return
    with suppress(ProcessLookupError):
        os.kill(children[int(nth * len(children))], signal.SIGKILL)


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
            definitions.tell(connection)
    if ours := next((arm for arm in killed.arms if arm.name == "ours"), None):
        with suppress(AssertionError):  # the checker says which have not ended
            wait_until(
                lambda: not any(row.state in NOT_ENDED for row in rows_of(ours)),
                within=SETTLE_SECONDS,
            )
    wait_until_quiet(killed)
    for arm in killed.arms:
        if arm.name == "ours":
            judged = [ending(each, until) for each in arm.definitions]
            report = judge_attempts(judged, rows_of(arm), marks_of(arm), max_attempts=max_attempts)
        else:
            report = judge_marks(marks_of(arm))
        killed.reports[arm.name] = report
        OUTCOMES.append(Outcome(fault=killed.fault, seed=killed.seed, arm=arm.name, report=report))


def wait_until_quiet(killed: Trial) -> None:
    """Wait until nothing has begun or ended for a while: of the stock arm nobody knows more."""
    counts = [-1]

    def is_quiet() -> bool:
        counts.append(sum(len(marks_of(arm)) for arm in killed.arms))
        time.sleep(0.5)
        return len(counts) > 6 and counts[-1] == counts[-6]

    wait_until(is_quiet, within=SETTLE_SECONDS)


def ending(definition: Definition, until: datetime) -> Definition:
    return Definition(name=definition.name, slots=definition.slots, until=until - LENGTH)


def rows_of(arm: Arm) -> list[Attempted]:
    names = ["id", "name", "state", "slot_at", "attempts", "reason"]
    with arm.connect() as connection:
        found = [dict(zip(names, row, strict=True)) for row in connection.execute(ATTEMPTED)]
    return [
        Attempted(**(row | {"id": str(row["id"])}))
        for row in found
        if row["name"].startswith(arm.prefix)
    ]


def marks_of(arm: Arm) -> list[Mark]:
    lines = whole_lines(arm.site.folder / "marks")
    found = (line.split("\t") for line in lines)
    return [
        Mark(id=run, name=name, at=moment(float(at)), is_end=what == ENDED)
        for what, run, name, at in found
        if name.startswith(arm.prefix)
    ]
