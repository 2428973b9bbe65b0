"""A trial: one fault applied to both arms at once, and the verdict on each."""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.faults.arm import Arm
from tests.faults.checker import Report, Verdict
from tests.faults.evidence import Definition
from tests.faults.site import Site

SECOND = timedelta(seconds=1)
# Multiplies the number of slots and repetitions; `make faults` sets it.
SCALE = float(os.environ.get("FAULT_SCALE") or 1)
LEAD_TIME = 2.5 * SECOND
SETTLE_TIMEOUT_SECONDS = 25
QUIET_PERIOD_SECONDS = 1.5


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """The report on one arm."""

    fault: str
    seed: int
    arm: str
    report: Report


trial_numbers = itertools.count(1)
# All results of this session, for the summary table.
TRIAL_RESULTS: list[TrialResult] = []


def scaled(number: int) -> int:
    """Multiply a number by FAULT_SCALE."""
    return round(number * SCALE)


class Trial:
    """The arms of one fault."""

    def __init__(self, site: Site, fault: str, seed: int, *, arms: Iterable[str]) -> None:
        self.site, self.fault, self.seed = site, fault, seed
        label = f"{fault[:2]}-{next(trial_numbers)}"
        self.arms = [Arm(site, name, label=label) for name in arms]
        self.reports: dict[str, Report] = {}

    def for_each_arm(self, do: Callable[[Arm], object]) -> None:
        for arm in self.arms:
            do(arm)

    def start(self, *, beats: int = 1, **environ: str) -> None:
        """Start `beats` beats for each arm, and wait until they are up."""
        for arm in self.arms:
            for _ in range(beats):
                arm.add_beat(**environ)
        self.restart()

    def wait_until_up(self) -> None:
        self.for_each_arm(Arm.wait_until_up)

    def define(self, name: str = "task", **options: object) -> list[Definition]:
        """Insert the same periodic tasks for all arms, with first slots LEAD_TIME from now."""
        start_at = datetime.now(UTC) + LEAD_TIME
        defined = []
        for arm in self.arms:
            at = arm.at_arm_clock(start_at)
            defined += arm.define(name, **{"start_at": at} | options)
        return defined

    def restart(self) -> None:
        """Start the beats that are not running, and wait until all are up."""
        for each in (each for arm in self.arms for each in arm.beats):
            if not each.is_alive():
                each.start()
        self.wait_until_up()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Record the time of the block as an outage of all arms."""
        with ExitStack() as stack:
            for arm in self.arms:
                stack.enter_context(arm.outage())
            yield

    def run_for(self, seconds: float) -> None:
        """Sleep while the beats run. No condition to wait for: the passing of time is the test."""
        time.sleep(seconds)

    def finish(self, *, until: datetime | None = None) -> None:
        """Wait until all runs sent for slots before `until` (default: now) started, then judge."""
        until = until or datetime.now(UTC)
        self.settle(until)
        for arm in self.arms:
            report = self.reports[arm.name] = arm.judge(arm.at_arm_clock(until))
            TRIAL_RESULTS.append(
                TrialResult(fault=self.fault, seed=self.seed, arm=arm.name, report=report)
            )

    def settle(self, until: datetime) -> None:
        """Wait until the runs of all slots before `until` have started, then end all beats.

        Give up after SETTLE_TIMEOUT_SECONDS without a new start: longer than the relay takes.
        """
        started, progress_at = -1, time.monotonic()
        while time.monotonic() < progress_at + SETTLE_TIMEOUT_SECONDS:
            if all(arm.is_settled(arm.at_arm_clock(until)) for arm in self.arms):
                break
            if (count := self.started()) != started:
                started, progress_at = count, time.monotonic()
            time.sleep(0.5)
        self.for_each_arm(Arm.close)
        # Stock beat does not record its messages: wait until no more runs start.
        started = -1
        while (count := self.started()) != started:
            started = count
            time.sleep(QUIET_PERIOD_SECONDS)

    def started(self) -> int:
        return sum(len(arm.effects()) for arm in self.arms)

    def assert_ours_is_right(self) -> None:
        """Fail unless each slot of ours has an acceptable verdict."""
        if report := self.reports.get("ours"):
            log = next(arm.output() for arm in self.arms if arm.name == "ours")
            assert not report.bad_count(), "\n".join([*report.failures, log])
            assert report.slots

    def assert_stock_fails(self) -> None:
        """Fail unless the checker found failures of stock beat: otherwise it may be blind."""
        if report := self.reports.get("stock"):
            assert report.bad_count(Verdict.LOST, Verdict.DOUBLED, Verdict.SPURIOUS), report

    def judge(self) -> None:
        """Finish; assert that ours is right and that stock beat fails."""
        self.finish()
        self.assert_ours_is_right()
        self.assert_stock_fails()

    def close(self) -> None:
        self.for_each_arm(Arm.close)
