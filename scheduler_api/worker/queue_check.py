"""Checks a worker's queues before it consumes them: they may exist with other arguments.

RabbitMQ then refuses Celery's declaration, and closes the channel: Celery's worker ends with a
traceback. Ours uses such a queue as it is. One that cannot be used is left out until it can be.
"""

from typing import Any

from celery import bootsteps
from celery.worker.consumer.mingle import Mingle
from celery.worker.consumer.tasks import Tasks

from scheduler_api.broker.queue_declaration import declare, log_mismatch
from scheduler_api.broker.queue_mismatches import QueueMismatch

CHECK_INTERVAL_SECONDS = 10

# The mismatches of this worker's queues, by queue.
mismatches: dict[str, QueueMismatch] = {}


def connect() -> None:
    """Add the step to the consumer of each worker. Calling it again changes nothing."""
    required: list[Any] = list(Tasks.requires or ())
    if QueueCheck not in required:
        Tasks.requires = (*required, QueueCheck)


class QueueCheck(bootsteps.StartStopStep):
    """Declares the queues before celery.worker.consumer.tasks.Tasks does, one channel each."""

    requires = (Mingle,)
    label = "QueueCheck"

    def __init__(self, consumer: Any, **options: object) -> None:
        super().__init__(consumer, **options)
        self._left_out: set[str] = set()
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """Check all queues: use a differing queue as it is if possible, or leave it out."""
        if consumer.connection.transport.driver_type != "amqp":
            return
        queues = consumer.app.amqp.queues
        for name in self._left_out:
            queues.select_add(queues[name])
        self._left_out = {
            name for name in list(queues.consume_from) if not self._is_usable(consumer, name)
        }
        queues.deselect(self._left_out)
        if any(mismatch.there == "quorum" for mismatch in mismatches.values()):
            # Celery looks at its own declarations only, and RabbitMQ ends the connection of a
            # consumer that sets one prefetch count for a whole channel with such a queue.
            consumer.connection.transport.qos_semantics_matches_spec = lambda _: True
        self._timer = consumer.timer.call_repeatedly(
            CHECK_INTERVAL_SECONDS, consumer.call_soon, (self._check_left_out, consumer)
        )

    def stop(self, consumer: Any) -> None:
        """Stop to check."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_left_out(self, consumer: Any) -> None:
        for name in sorted(self._left_out):
            if consumer.connection and self._is_usable(consumer, name):
                self._left_out.discard(name)
                consumer.add_task_queue(name)

    def _is_usable(self, consumer: Any, name: str) -> bool:
        """Declare a queue, and record a mismatch; return whether the queue can be consumed."""
        queue = consumer.app.amqp.queues[name]
        before = mismatches.pop(name, None)
        if before is not None:
            queue.no_declare = False
        mismatch = declare(queue, consumer.connection)
        if mismatch is None:
            return True
        mismatches[name] = mismatch
        queue.no_declare = True
        if mismatch != before:
            log_mismatch(mismatch)
        return mismatch.is_usable
