"""That this beat lives, for those who ask whether it is well."""

import os
import socket
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from scheduler_api.scheduler.models import BeatHeartbeat

EVERY = timedelta(seconds=5)
# A beat that has been silent for so long is of no interest to anybody.
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(kw_only=True)
class Heartbeat:
    """The row of this process."""

    id: UUID = field(default_factory=uuid4)
    started_at: datetime | None = None
    beaten_at: datetime | None = None
    publish_error: str = ""

    def is_due(self, now: datetime, *, publish_error: str) -> bool:
        """Tell whether to beat: from time to time, and when there is news."""
        last = self.beaten_at
        return (
            last is None or not last <= now < last + EVERY or publish_error != self.publish_error
        )

    def beat(self, now: datetime, *, lag: timedelta, publish_error: str) -> None:
        """Write down that this beat has looked at the agenda."""
        self.started_at = self.started_at or now
        BeatHeartbeat.objects.update_or_create(
            pk=self.id,
            defaults={
                "host": socket.gethostname()[:255],
                "pid": os.getpid(),
                "started_at": self.started_at,
                "ticked_at": now,
                "lag_seconds": lag.total_seconds(),
                "publish_error": publish_error,
            },
        )
        self.beaten_at, self.publish_error = now, publish_error
        BeatHeartbeat.objects.filter(ticked_at__lt=now - FORGOTTEN_AFTER).delete()

    def stop(self) -> None:
        """Take the row away."""
        BeatHeartbeat.objects.filter(pk=self.id).delete()
