"""Write this beat's heartbeat, from which health checks read its state."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from scheduler_api.broker.queue_mismatches import QueueMismatch
from scheduler_api.scheduler.models import BeatHeartbeat

HEARTBEAT_INTERVAL = timedelta(seconds=5)
# Rows of beats that have been silent for this long are deleted.
HEARTBEAT_RETENTION = timedelta(days=1)


@dataclass(kw_only=True)
class Heartbeat:
    """The heartbeat row of this process."""

    id: UUID = field(default_factory=uuid4)
    started_at: datetime | None = None
    written_at: datetime | None = None
    publish_error: str = ""
    queue_mismatches: Sequence[QueueMismatch] = ()

    def is_due(
        self,
        now: datetime,
        *,
        publish_error: str,
        queue_mismatches: Sequence[QueueMismatch] = (),
    ) -> bool:
        """Return whether to write the row: periodically, and when the state of beat changes."""
        last = self.written_at
        is_recent = last is not None and last <= now < last + HEARTBEAT_INTERVAL
        known = self.publish_error, list(self.queue_mismatches)
        return not is_recent or known != (publish_error, list(queue_mismatches))

    def write(
        self,
        now: datetime,
        *,
        lag: timedelta,
        publish_error: str,
        queue_mismatches: Sequence[QueueMismatch] = (),
    ) -> None:
        """Record that this beat has just read the agenda; delete old rows of other beats."""
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
                "queue_mismatches": [mismatch.as_json() for mismatch in queue_mismatches],
            },
        )
        self.written_at, self.publish_error = now, publish_error
        self.queue_mismatches = queue_mismatches
        BeatHeartbeat.objects.filter(ticked_at__lt=now - HEARTBEAT_RETENTION).delete()

    def stop(self) -> None:
        """Delete the row of this process."""
        BeatHeartbeat.objects.filter(pk=self.id).delete()
