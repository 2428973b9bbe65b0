"""The loop of one beat: plan changed tasks, claim due tasks, publish their runs, sleep."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from scheduler_api.backoff import backoff
from scheduler_api.broker.outgoing import BatchResult, Outgoing, PublishFailure
from scheduler_api.broker.publisher import Publisher
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line
from scheduler_api.periodic_tasks.actions import resume_due
from scheduler_api.runs.message_options import expiry_of
from scheduler_api.runs.models import LEASE, Run
from scheduler_api.scheduler.buffered_runs import release_backfilled, release_buffered
from scheduler_api.scheduler.claiming import Claim, claim
from scheduler_api.scheduler.heartbeat import Heartbeat
from scheduler_api.scheduler.lost_messages import LostMessages
from scheduler_api.scheduler.planning import plan, quarantine_of
from scheduler_api.scheduler.quarantine_release import QuarantineRelease
from scheduler_api.scheduler.reaping import (
    EXPIRED_UNSENT,
    expire,
    give_up_unreported,
    reap,
)
from scheduler_api.scheduler.refusals import Refusals
from scheduler_api.scheduler.rewinding import rewind
from scheduler_api.scheduler.store import Store
from scheduler_api.scheduler.store_values import PendingWork
from scheduler_api.scheduler.waker import Waker
from scheduler_api.scheduler.watchdog import Watchdog

PLAN_BATCH_SIZE = 1000
# Runs that are with the publisher and not confirmed. More would only wait in its memory.
MAX_IN_FLIGHT_RUNS = 4000
LONGEST_SLEEP = timedelta(seconds=1)
SHORTEST_SLEEP = timedelta(milliseconds=2)
LOCKED_SLEEP = timedelta(milliseconds=50)
REAP_INTERVAL = min(LEASE / 6, timedelta(seconds=10))
# After a start and after an outage, workers first get time to renew their leases.
FIRST_REAP_DELAY = LEASE / 2
EXPIRY_INTERVAL = timedelta(seconds=1)
# After a start and after an outage, workers first get time to record starts without the database.
FIRST_EXPIRY_DELAY = timedelta(seconds=5)
RELAY_DELAY = timedelta(seconds=1)
BACKFILL_INTERVAL = timedelta(seconds=1)
# A clock that steps back by less is being adjusted: beat waits until it has caught up.
CLOCK_STEP = timedelta(seconds=5)
# Short enough that waiting slots are resolved within 15 seconds after an outage.
FIRST_BACKOFF, LONGEST_BACKOFF = timedelta(seconds=1), timedelta(seconds=10)
ZERO = timedelta(0)
# Errors that the driver, Django or Python raise for a corrupt row.
UNREADABLE = (DatabaseError, ValueError, ArithmeticError, TypeError)
# SQLSTATE: class 40 is a rolled back transaction, 55P03 a lock that was not available.
CONFLICTS = ("40", "55P03")

EXPIRED = (Run.State.EXPIRED, EXPIRED_UNSENT)

logger = EventLogger(__name__)


@dataclass(kw_only=True)
class Engine:
    """The work of one beat process. Any number of processes share the work."""

    store: Store
    publisher: Publisher
    waker: Waker
    revoke: Callable[[Sequence[str]], None]
    grace: timedelta
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    watchdog: Watchdog = field(default_factory=Watchdog)
    lost_messages: LostMessages | None = None
    quarantine_release: QuarantineRelease = field(default_factory=QuarantineRelease)
    # Results from the broker that are not in the ledger yet.
    unsettled: deque[BatchResult] = field(default_factory=deque)
    in_flight: set[int] = field(default_factory=set)
    refusals: Refusals = field(default_factory=Refusals)
    # The last claimed position of this pass through the agenda; None at its head.
    cursor: tuple[datetime, int] | None = None
    lag: timedelta = ZERO
    last_now: datetime | None = None
    failed_ticks: int = 0  # consecutive
    reap_at: datetime | None = None
    expire_at: datetime | None = None
    republished_batches: int = 0  # batches of lost messages
    release_at: datetime | None = None
    backfill_at: datetime | None = None

    def tick(self) -> None:
        """Do the pending work, then sleep until there is more."""
        try:
            with self.watchdog:
                pause = self.work()
        except (OperationalError, InterfaceError) as error:
            pause = self.handle_database_error(error)
        except Exception:
            # A bug here or in a library must not stop the process that every task depends on.
            logger.exception(LogEvent.TICK_FAILED, "A tick of beat failed")
            connection.close()
            pause = self.back_off()
        else:
            self.record_recovery()
        if pause > ZERO:
            self.waker.wait(pause.total_seconds())

    def work(self) -> timedelta:
        """Do one step of each kind of work; return how long to sleep afterwards."""
        pending_work = self.store.pending_work()
        now = pending_work.now
        if self.last_now and now < self.last_now - CLOCK_STEP:
            self.handle_clock_step(self.last_now, now)
            return ZERO
        self.last_now = now
        self.settle(now)
        is_busy = self.quarantine_release.release(self.store, now)
        if is_busy:
            self.cursor = None
        is_busy = (pending_work.has_pause_to_end and self.end_pauses(now)) or is_busy
        if pending_work.is_stale:
            is_busy = self.plan(now) or is_busy
        if self.publisher.is_ready:
            is_busy = self.publish(pending_work) or is_busy
        if self.heartbeat.is_due(
            now,
            publish_error=self.publisher.publish_error,
            queue_mismatches=self.publisher.queue_mismatches,
        ):
            self.write_heartbeat(now)
        if self.expire_at is None:
            self.expire_at = now + FIRST_EXPIRY_DELAY
        elif self.expire_at <= now:
            is_busy = self.expire(now) or is_busy
        if self.reap_at is None:
            self.reap_at = now + FIRST_REAP_DELAY
        elif self.reap_at <= now:
            is_busy = self.reap(now) or is_busy
        return ZERO if is_busy else self.pause(pending_work)

    def pause(self, pending_work: PendingWork) -> timedelta:
        """Return how long to sleep. Results of the broker and changed definitions wake beat."""
        if pending_work.next_due_at is None or not self.can_submit:
            return LONGEST_SLEEP
        if pending_work.next_due_at <= pending_work.now:
            return LOCKED_SLEEP  # another beat or a writer has the row locked
        return max(min(pending_work.next_due_at - pending_work.now, LONGEST_SLEEP), SHORTEST_SLEEP)

    @property
    def can_submit(self) -> bool:
        """Whether the publisher accepts more runs."""
        return bool(self.publisher.is_ready) and self.publisher.in_flight < MAX_IN_FLIGHT_RUNS

    # --- Definitions --------------------------------------------------------------------------

    def end_pauses(self, now: datetime) -> bool:
        """Resume tasks with a pause that has ended; return whether there were any."""
        tasks = resume_due(at=now)
        for task in tasks:
            logger.info(
                LogEvent.PERIODIC_TASK_RESUMED,
                "Resuming %(periodic_task)s: its pause is over",
                periodic_task_id=task.pk,
                periodic_task=task.name,
            )
        return bool(tasks)

    def plan(self, now: datetime) -> bool:
        """Plan a batch of changed tasks; return whether there may be more work right now."""
        try:
            planned = plan(self.store, now, limit=PLAN_BATCH_SIZE)
        except UNREADABLE as error:
            raise_if_unavailable(error)
            logger.warning(
                LogEvent.PLANNING_ONE_BY_ONE,
                "A batch of periodic tasks cannot be planned together; planning them one by one: "
                "%(error)s",
                error=in_one_line(error),
            )
            self.process_one_by_one(
                self.store.stale_ids(limit=PLAN_BATCH_SIZE),
                lambda pk: plan(self.store, now, ids=[pk], limit=1),
                now,
            )
            return True
        if planned.is_due:
            self.cursor = None
        return planned.count > 0

    def handle_clock_step(self, before: datetime, now: datetime) -> None:
        """Rewind the agenda, because the clock was set back.

        Slots become due again; slots that already have a run in the ledger are not sent again.
        """
        logger.warning(
            LogEvent.CLOCK_SET_BACK,
            "The clock was set back from %(before)s to %(now)s",
            before=before.isoformat(),
            now=now.isoformat(),
        )
        rewind(now)
        self.last_now, self.cursor = now, None
        self.reap_at = self.expire_at = self.release_at = self.backfill_at = None

    # --- Runs ---------------------------------------------------------------------------------

    def publish(self, pending_work: PendingWork) -> bool:
        """Hand runs to the publisher; return whether there may be more work right now."""
        is_busy, now = False, pending_work.now
        if pending_work.has_buffered and (self.release_at is None or now >= self.release_at):
            # Not in each tick: it reads all buffered runs, those of backfills included.
            self.release_at = now + LOCKED_SLEEP
            release_buffered(self.store, now)
        if pending_work.has_unsent and self.can_submit:
            is_busy = self.relay(now)
        if pending_work.next_due_at and pending_work.next_due_at <= now and self.can_submit:
            is_busy = self.claim(now) or is_busy
        if pending_work.has_buffered and self.can_submit and not is_busy:
            is_busy = self.backfill(now)
        return is_busy

    def backfill(self, now: datetime) -> bool:
        """Release backfilled runs, at intervals; return whether any were released."""
        if self.backfill_at and now < self.backfill_at:
            return False
        self.backfill_at = now + BACKFILL_INTERVAL
        return release_backfilled(self.store, now, at_once=settings.BACKFILL_AT_ONCE)

    def claim(self, now: datetime) -> bool:
        """Claim a batch and hand it to the publisher; return whether there may be more."""
        try:
            claimed = claim(
                self.store, now, after=self.cursor, limit=self.store.batch_size, grace=self.grace
            )
        except UNREADABLE as error:
            raise_if_unavailable(error)
            logger.warning(
                LogEvent.CLAIMING_ONE_BY_ONE,
                "A batch of due periodic tasks cannot be claimed together; claiming them one by "
                "one: %(error)s",
                error=in_one_line(error),
            )
            self.process_one_by_one(
                self.store.due_ids(now, limit=self.store.batch_size),
                lambda pk: self.claim_one(pk, now),
                now,
            )
            return True
        self.hand_over(claimed, now)
        was_at_head = self.cursor is None
        self.cursor = claimed.last if claimed.count == self.store.batch_size else None
        # Nothing to lock at the head: other beats have all due tasks.
        return claimed.count > 0 or not was_at_head

    def claim_one(self, task_id: int, now: datetime) -> None:
        """Claim one task."""
        self.hand_over(claim(self.store, now, task_id=task_id, limit=1, grace=self.grace), now)

    def hand_over(self, claimed: Claim, now: datetime) -> None:
        """Hand claimed runs to the publisher."""
        self.lag = now - claimed.oldest_due_at if claimed.oldest_due_at else ZERO
        if claimed.cancelled:
            self.revoke(claimed.cancelled)
        if claimed.runs:
            self.refusals.retried |= claimed.retried
            self.in_flight.add(claimed.batch_id)
            self.publisher.submit(claimed.batch_id, claimed.runs)

    def relay(self, now: datetime) -> bool:
        """Republish, under the same ids, a batch that a crash or the broker left in the outbox."""
        taken = self.store.take_unsent(now)
        if taken is None:
            return False
        batch_id, pending = taken
        if batch_id in self.in_flight:  # still with our publisher: slow, not lost
            return False
        runs = [run for run in pending if not has_expired(run, now)]
        if len(runs) < len(pending) or not runs:
            self.store.settle(
                batch_id,
                ended={run.id: EXPIRED for run in pending if has_expired(run, now)},
                unsent=[run.id for run in runs],
                retry_at=now + self.store.batch_timeout,
                now=now,
            )
        if not runs:
            return True
        logger.info(
            LogEvent.BATCH_REPUBLISHED,
            "Publishing %(count)d runs that were left in the outbox",
            batch_id=batch_id,
            count=len(runs),
        )
        self.in_flight.add(batch_id)
        self.publisher.submit(batch_id, runs)
        return True

    def settle(self, now: datetime) -> None:
        """Record the broker's results in the ledger."""
        self.unsettled += self.publisher.take_results()
        while self.unsettled:
            result = self.unsettled[0]
            unsent = [
                pk
                for pk, (failure, _) in result.failed.items()
                if failure is PublishFailure.UNANSWERED
            ]
            ended = self.store.settle(
                result.batch_id,
                queued=result.confirmed,
                ended={
                    pk: (Run.State.UNROUTABLE, why)
                    for pk, (failure, why) in result.failed.items()
                    if failure is not PublishFailure.UNANSWERED
                },
                unsent=unsent,
                retry_at=now + RELAY_DELAY,
                now=now,
            )
            self.in_flight.discard(result.batch_id)
            self.unsettled.popleft()
            self.refusals.add(result, ended)
        self.refusals.write(self.store, now)

    def expire(self, now: datetime) -> bool:
        """End runs whose message has expired; return whether there may be more of them."""
        is_busy = expire(self.store, now)
        self.expire_at = now if is_busy else now + EXPIRY_INTERVAL
        return is_busy

    def reap(self, now: datetime) -> bool:
        """Give up runs that no worker reports on; return whether there may be more of them."""
        give_up_unreported(self.store, now)
        is_busy = reap(self.store, now)
        self.republish_lost(now)
        self.reap_at = now if is_busy else now + REAP_INTERVAL
        return is_busy

    def republish_lost(self, now: datetime) -> None:
        """Republish messages that the broker has lost.

        The batch is not in the outbox, so it gets a negative number in place of an id. If it
        fails, the next check finds the messages lost again.
        """
        if self.lost_messages is None or not self.can_submit:
            return
        runs = [run for run in self.lost_messages.check(now) if not has_expired(run, now)]
        if runs:
            self.republished_batches += 1
            self.in_flight.add(-self.republished_batches)
            self.publisher.submit(-self.republished_batches, runs)

    # --- Errors -------------------------------------------------------------------------------

    def process_one_by_one(
        self, ids: Sequence[int], process: Callable[[int], object], now: datetime
    ) -> None:
        """Process each task by itself, and quarantine the tasks that cannot be read."""
        for pk in ids:
            try:
                process(pk)
            except UNREADABLE as error:
                raise_if_unavailable(error)
                with transaction.atomic():
                    failures = self.store.failures_of(pk)
                    self.store.quarantine([quarantine_of(pk, failures, error, now=now)])

    def handle_database_error(self, error: Exception) -> timedelta:
        """Return how long to wait after a database error; log the first of an outage."""
        if is_conflict(error):  # a conflict with another transaction
            return SHORTEST_SLEEP
        connection.close()
        self.waker.stop_listening()
        if not self.failed_ticks:
            logger.error(
                LogEvent.DATABASE_UNAVAILABLE,
                "The database does not answer: %(error)s",
                error=in_one_line(error),
            )
        return self.back_off()

    def back_off(self) -> timedelta:
        """Count a failed tick; return how long to wait."""
        self.failed_ticks += 1
        return backoff(self.failed_ticks, first=FIRST_BACKOFF, longest=LONGEST_BACKOFF)

    def record_recovery(self) -> None:
        """Log the first successful tick after an outage."""
        if self.failed_ticks:
            logger.info(LogEvent.DATABASE_RECOVERED, "The database answers again")
            self.failed_ticks = 0
            self.reap_at = self.expire_at = None

    def write_heartbeat(self, now: datetime) -> None:
        """Write the heartbeat, and extend the timeout of this beat's batches in the outbox."""
        self.heartbeat.write(
            now,
            lag=self.lag,
            publish_error=self.publisher.publish_error,
            queue_mismatches=self.publisher.queue_mismatches,
        )
        self.store.keep_enqueued(self.in_flight, now=now)
        self.lag = ZERO

    def stop(self, *, timeout_seconds: float) -> None:
        """Wait for outstanding confirmations up to the timeout, then close everything."""
        self.publisher.close(timeout_seconds=timeout_seconds)
        try:
            self.settle(self.store.now())
            self.heartbeat.stop()
        except (DatabaseError, InterfaceError) as error:
            logger.warning(
                LogEvent.DATABASE_UNAVAILABLE,
                "Stopping without the database: %(error)s",
                error=in_one_line(error),
            )
        finally:
            self.watchdog.close()
            self.waker.close()
            connection.close()


def has_expired(run: Outgoing, now: datetime) -> bool:
    """Return whether the message has expired: a worker would discard it."""
    expires_at = expiry_of(run.options)
    return expires_at is not None and expires_at <= now


def raise_if_unavailable(error: Exception) -> None:
    """Raise the error again if it is about the database itself, not about a row."""
    if isinstance(error, InterfaceError | OperationalError):
        raise error


def is_conflict(error: Exception) -> bool:
    """Return whether a transaction failed only for a conflict with another, or its locks."""
    return str(getattr(error.__cause__, "sqlstate", None) or "").startswith(CONFLICTS)
