"""One side of a fault: beats of one kind, and a database that they share."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import psycopg

from tests.faults import clock, definitions
from tests.faults.checker import Report, judge_effects, judge_ledger
from tests.faults.evidence import Definition, Effect, Misfire, Row, Stretch, Tolerance, every
from tests.faults.processes import Process, beat, wait_until
from tests.faults.site import Site

SECOND = timedelta(seconds=1)
START_SECONDS = 40
# Longer than a fault takes: slots that beat may serve before it is stopped.
LONG = timedelta(minutes=30)
UP = "beat: Starting..."
# Stock beat may be this much too early, and knows nothing of it.
STOCK_EARLY = SECOND / 10
IS_BEING_SENT = ("pending", "queued")
NONE: Mapping[str, object] = MappingProxyType({})


class Arm:
    """`ours` or `stock`: its database, its beats, its definitions and what came of them."""

    def __init__(self, site: Site, name: str, *, mark: str) -> None:
        self.site, self.name = site, name
        # Of the names of all its periodic tasks.
        self.prefix = f"{mark}-{name}-"
        self.folder = site.folder / f"{mark}-{name}"
        self.folder.mkdir()
        self.database = site.new_database()
        self.url = site.postgres.url_of(self.database)
        self.clock = self.folder / "clock"
        self.clock_steps: list[tuple[datetime, timedelta]] = []
        self.beats: list[Process] = []
        self.definitions: list[Definition] = []
        self.outages: list[Stretch] = []
        self.horizon = LONG
        with self.connect() as connection:
            # Of the first change that it sees, stock beat takes only the time.
            definitions.tell(connection)

    # --- Beats ----------------------------------------------------------------------------------

    def add_beat(self, **environ: str) -> Process:
        """Return one more beat, which is not yet up."""
        given = {"DATABASE_URL": self.url} | environ
        if self.clock.exists():
            given["FAULTS_CLOCK"] = str(self.clock)
        added = beat(
            arm=self.name,
            log=self.folder / f"beat-{len(self.beats)}.log",
            environ=self.site.environ(**given),
        )
        self.beats.append(added)
        return added

    @property
    def beat(self) -> Process:
        return self.beats[0]

    def is_up(self) -> bool:
        return all(UP in each.output() for each in self.beats)

    def wait_until_up(self) -> None:
        wait_until(self.is_up, within=START_SECONDS, why=self.output)

    def output(self) -> str:
        return "\n".join(f"{self.name}: {each.output()[-4000:]}" for each in self.beats)

    # --- Its clock ------------------------------------------------------------------------------

    def step_clock(self, ahead: timedelta) -> None:
        """Have its beats and its database be so much ahead; those to come, where it is new."""
        with self.connect() as connection:
            if not self.clock.exists():
                definitions.make_clock(connection, self.database)
            definitions.step_clock(connection, ahead)
        self.step_host(ahead)
        self.clock_steps.append((datetime.now(UTC), ahead))

    def step_host(self, ahead: timedelta) -> None:
        """Have its beats be so much ahead, and nobody else."""
        clock.step(self.clock, ahead.total_seconds())

    def by_its_clock(self, moment: datetime) -> datetime:
        """Return what its clock said at a moment of ours."""
        aheads = [ahead for at, ahead in self.clock_steps if at <= moment]
        return moment + (aheads[-1] if aheads else timedelta(0))

    def now(self) -> datetime:
        return self.by_its_clock(datetime.now(UTC))

    # --- Definitions ----------------------------------------------------------------------------

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)

    def define(
        self,
        name: str,
        *,
        start_at: datetime,
        count: int = 1,
        length: timedelta = SECOND,
        misfire: Misfire = Misfire.RUN_ALL,
        catchup_window: timedelta = timedelta(hours=1),
        is_routable: bool = True,
        may_come_again: bool = False,
        policies: Mapping[str, object] = NONE,
        **columns: object,
    ) -> list[Definition]:
        """Write so many periodic tasks with a slot every `length` from `start_at`."""
        slots = every(length, start_at=start_at, end_at=start_at + self.horizon)
        if self.name == "stock":
            # Its start_time would be up to a second late.
            columns = {"last_run_at": start_at - length} | columns
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
                may_come_again=may_come_again,
            )
            for number in range(count)
        ]
        with psycopg.connect(self.url) as connection:
            columns["interval_id"] = definitions.insert_interval(connection, length)
            for each in defined:
                definitions.insert_definition(
                    connection, each, changed_at=start_at - length, policies=policies, **columns
                )
            definitions.tell(connection)
        self.definitions += defined
        return defined

    def define_crontab(
        self, name: str, expression: str, zone: str, *, slots: list[datetime], **columns: object
    ) -> Definition:
        """Write a periodic task on a crontab; `slots` are all that it has."""
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
                policies=NONE,
                last_run_at=before,
                **columns,
            )
            definitions.tell(connection)
        self.definitions.append(defined)
        return defined

    # --- What came of it ------------------------------------------------------------------------

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Note that something is broken meanwhile."""
        start_at = self.now()
        yield
        self.outages.append(Stretch(start_at=start_at, end_at=self.now()))

    def rows(self) -> list[Row]:
        with self.connect() as connection:
            rows = definitions.rows_of(connection)
        return [row for row in rows if row.name.startswith(self.prefix)]

    def effects(self) -> list[Effect]:
        """Return what the worker has started of its own, told by its own clock."""
        return [
            replace(each, started_at=self.by_its_clock(each.started_at))
            for each in self.site.effects()
            if each.name.startswith(self.prefix)
        ]

    def is_settled(self, until: datetime) -> bool:
        """Tell whether all that it has sent of the slots until then has been started."""
        if self.name == "stock":
            return True
        started = {each.id for each in self.site.effects()}
        sent = (row for row in self.rows() if row.state in IS_BEING_SENT and row.slot_at < until)
        return all(row.id in started for row in sent)

    def judge(self, until: datetime) -> Report:
        """Judge all slots until then."""
        judged = [replace(each, until=min(each.until, until)) for each in self.definitions]
        if self.name == "stock":
            tolerance = Tolerance(early=STOCK_EARLY, outages=self.outages)
            return judge_effects(judged, self.effects(), tolerance)
        return judge_ledger(judged, self.rows(), self.effects(), Tolerance(outages=self.outages))

    def close(self) -> None:
        for each in self.beats:
            each.close()
