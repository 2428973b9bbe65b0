"""Release quarantined tasks, without waiting for the back-off, when their reason may be gone."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler_api.catalogue.task_lookup import announced_names
from scheduler_api.log_events import EventLogger, LogEvent
from scheduler_api.runs.message_options import publishing_rules
from scheduler_api.scheduler.store import Store

CHECK_INTERVAL = timedelta(seconds=1)

logger = EventLogger(__name__)


@dataclass(kw_only=True)
class QuarantineRelease:
    """The rules by which one beat last decided which tasks it can send.

    Beat compares them itself, as the change may come from any process: a worker that starts, or
    another beat. A change that it sees late, after it has quarantined a task by the old rules,
    releases the task all the same.
    """

    rules: tuple[object, ...] | None = None
    check_at: datetime | None = None

    def release(self, store: Store, now: datetime) -> bool:
        """Make quarantined tasks due if a rule has changed, and at the start.

        Return whether there were any.
        """
        if self.check_at is not None and now < self.check_at <= now + CHECK_INTERVAL:
            return False
        self.check_at = now + CHECK_INTERVAL
        rules = publishing_rules()
        if rules == self.rules:
            return False
        announced_names.invalidate()
        count = store.retry_quarantined(now)
        self.rules = rules
        if count:
            logger.info(
                LogEvent.QUARANTINE_RETRIED,
                "Trying %(count)d quarantined periodic tasks at once: beat started, a setting "
                "changed, or a worker announced its tasks",
                count=count,
            )
        return count > 0
