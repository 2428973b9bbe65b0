"""One side of a trial: beats with the same scheduler, and the database they share."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import psycopg

from tests.faults import clock, definitions
from tests.faults.checker import Report, judge_effects, judge_ledger
from tests.faults.evidence import (
    Definition,
    Effect,
    Misfire,
    Period,
    Row,
    Tolerance,
    interval_slots,
)
from tests.faults.processes import Process, beat, wait_until
from tests.faults.site import Site

SECOND = timedelta(seconds=1)
START_TIMEOUT_SECONDS = 40
# Slots are computed this far ahead: longer than a trial takes, so that they never run out.
HORIZON = timedelta(minutes=30)
UP_MESSAGE = "beat: Starting..."
# Stock beat may send this much too early, and does not record it.
STOCK_EARLY_TOLERANCE = SECOND / 10
SENT_STATES = ("pending", "queued")
NO_POLICIES: Mapping[str, object] = MappingProxyType({})


class Arm:
    """`ours` or `stock`: its database, beats, definitions, and their results."""

    def __init__(self, site: Site, name: str, *, label: str) -> None:
        self.site, self.name = site, name
        # Starts the name of each periodic task of this arm.
        self.prefix = f"{label}-{name}-"
        self.folder = site.folder / f"{label}-{name}"
        self.folder.mkdir()
        self.database = site.new_database()
        self.url = site.postgres.url_of(self.database)
        self.clock = self.folder / "clock"
        self.clock_steps: list[tuple[datetime, timedelta]] = []
        self.beats: list[Process] = []
        self.definitions: list[Definition] = []
        self.outages: list[Period] = []
        self.horizon = HORIZON
        with self.connect() as connection:
            # On the first change that it sees, stock beat only stores the time and reads no row.
            definitions.mark_changed(connection)

    # --- Beats ----------------------------------------------------------------------------------

    def add_beat(self, **environ: str) -> Process:
        """Add a beat and return it. It is not started."""
        variables = {"DATABASE_URL": self.url} | environ
        if self.clock.exists():
            variables["FAULTS_CLOCK"] = str(self.clock)
        added = beat(
            arm=self.name,
            log=self.folder / f"beat-{len(self.beats)}.log",
            environ=self.site.environ(**variables),
        )
        self.beats.append(added)
        return added

    @property
    def beat(self) -> Process:
        return self.beats[0]

    def is_up(self) -> bool:
        return all(UP_MESSAGE in each.output() for each in self.beats)

    def wait_until_up(self) -> None:
        wait_until(self.is_up, timeout_seconds=START_TIMEOUT_SECONDS, details=self.output)

    def output(self) -> str:
        return "\n".join(f"{self.name}: {each.output()[-4000:]}" for each in self.beats)

    # --- Clock ----------------------------------------------------------------------------------

    def step_clock(self, ahead: timedelta) -> None:
        """Set the clocks of the beats and the database ahead of real time.

        The first call affects only beats and connections that start later.
        """
        with self.connect() as connection:
            if not self.clock.exists():
                definitions.create_clock(connection, self.database)
            definitions.step_clock(connection, ahead)
        self.step_host(ahead)
        self.clock_steps.append((datetime.now(UTC), ahead))

    def step_host(self, ahead: timedelta) -> None:
        """Set only the clocks of the beats ahead of real time."""
        clock.step(self.clock, ahead.total_seconds())

    def at_arm_clock(self, moment: datetime) -> datetime:
        """Convert real time to the time of the arm's clock."""
        offsets = [ahead for at, ahead in self.clock_steps if at <= moment]
        return moment + (offsets[-1] if offsets else timedelta(0))

    def now(self) -> datetime:
        return self.at_arm_clock(datetime.now(UTC))

    # --- Definitions ----------------------------------------------------------------------------

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)

    def define(
        self,
        name: str,
        *,
        start_at: datetime,
        count: int = 1,
        interval: timedelta = SECOND,
        misfire: Misfire = Misfire.RUN_ALL,
        catchup_window: timedelta = timedelta(hours=1),
        is_routable: bool = True,
        is_clock_set_back: bool = False,
        policies: Mapping[str, object] = NO_POLICIES,
        **columns: object,
    ) -> list[Definition]:
        """Insert `count` periodic tasks, each with a slot every `interval` from `start_at`."""
        slots = interval_slots(interval, start_at=start_at, end_at=start_at + self.horizon)
        if self.name == "stock":
            # With a start_time, stock beat would be up to a second late.
            columns = {"last_run_at": start_at - interval} | columns
        elif "last_run_at" not in columns:
            columns = {"start_time": start_at} | columns
        defined = [
            Definition(
                name=f"{self.prefix}{name}-{number}",
                slots=slots,
                until=start_at + self.horizon,
                misfire=misfire,
                catchup_window=catchup_window,
                is_routable=is_routable,
                is_clock_set_back=is_clock_set_back,
            )
            for number in range(count)
        ]
        with psycopg.connect(self.url) as connection:
            columns["interval_id"] = definitions.insert_interval(connection, interval)
            for each in defined:
                definitions.insert_definition(
                    connection, each, changed_at=start_at - interval, policies=policies, **columns
                )
            definitions.mark_changed(connection)
        self.definitions += defined
        return defined

    def define_crontab(
        self, name: str, expression: str, zone: str, *, slots: list[datetime], **columns: object
    ) -> Definition:
        """Insert a periodic task with a crontab; `slots` lists all its slots."""
        start_at = slots[0]
        defined = Definition(
            name=f"{self.prefix}{name}", slots=slots, until=slots[-1] + self.horizon
        )
        before = start_at - timedelta(minutes=1)
        with psycopg.connect(self.url) as connection:
            columns["crontab_id"] = definitions.insert_crontab(connection, expression, zone)
            definitions.insert_definition(
                connection,
                defined,
                changed_at=before,
                policies=NO_POLICIES,
                last_run_at=before,
                **columns,
            )
            definitions.mark_changed(connection)
        self.definitions.append(defined)
        return defined

    # --- Results --------------------------------------------------------------------------------

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Record the time of the block as an outage."""
        start_at = self.now()
        yield
        self.outages.append(Period(start_at=start_at, end_at=self.now()))

    def rows(self) -> list[Row]:
        with self.connect() as connection:
            rows = definitions.rows_of(connection)
        return [row for row in rows if row.name.startswith(self.prefix)]

    def effects(self) -> list[Effect]:
        """Return the effects of this arm's runs, with start times by the arm's clock."""
        return [
            replace(each, started_at=self.at_arm_clock(each.started_at))
            for each in self.site.effects()
            if each.name.startswith(self.prefix)
        ]

    def is_settled(self, until: datetime) -> bool:
        """Return whether each sent run with a slot before `until` has started.

        Always true for stock beat: it keeps no ledger.
        """
        if self.name == "stock":
            return True
        started = {each.id for each in self.site.effects()}
        sent = (row for row in self.rows() if row.state in SENT_STATES and row.slot_at < until)
        return all(row.id in started for row in sent)

    def judge(self, until: datetime) -> Report:
        """Judge all slots before `until`."""
        judged = [replace(each, until=min(each.until, until)) for each in self.definitions]
        if self.name == "stock":
            tolerance = Tolerance(early=STOCK_EARLY_TOLERANCE, outages=self.outages)
            return judge_effects(judged, self.effects(), tolerance)
        return judge_ledger(judged, self.rows(), self.effects(), Tolerance(outages=self.outages))

    def close(self) -> None:
        for each in self.beats:
            each.close()
