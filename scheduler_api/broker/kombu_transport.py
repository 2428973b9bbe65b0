"""Transport for every broker but RabbitMQ: Celery publishes one message at a time.

A message counts as confirmed when Celery's call returns.
"""

import select
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.result import denied_join_result
from kombu.exceptions import OperationalError

from scheduler_api.broker.batches import Batch, BrokerConnectionLost
from scheduler_api.broker.capture import Unsendable, refusal_reason, send
from scheduler_api.broker.outgoing import Outgoing, PublishFailure

CONNECT_TIMEOUT_SECONDS = 5
MAX_RUNS_PER_CALL = 50


class KombuTransport:
    """A kombu connection and a producer on it."""

    broker = "The broker"
    blocked = ""
    queue_mismatches = ()

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Any = None
        self._errors: tuple[type[BaseException], ...] = ()

    def connect(self) -> None:
        connection = self._app.connection_for_write(connect_timeout=CONNECT_TIMEOUT_SECONDS)
        own: tuple[type[BaseException], ...] = connection.connection_errors
        self._errors = (*own, *connection.channel_errors, OperationalError, OSError)
        try:
            connection.ensure_connection(
                max_retries=max(1, len(connection.alt) - 1), interval_start=0, interval_step=0
            )
            self._producer = self._app.amqp.Producer(
                connection.default_channel, auto_declare=False
            )
        except self._errors as error:
            raise BrokerConnectionLost(" ".join(str(error).split())) from error
        self._connection = connection

    def capacity(self) -> int:
        return MAX_RUNS_PER_CALL

    def publish(self, batch: Batch, runs: Sequence[Outgoing]) -> None:
        for run in runs:
            try:
                with denied_join_result():
                    send(self._app, run, producer=self._producer, retry=False)
            except self._errors as error:
                raise BrokerConnectionLost(" ".join(str(error).split())) from error
            except Unsendable as error:
                batch.fail(run.id, PublishFailure.REFUSED, str(error))
            except Exception as error:  # noqa: BLE001 - one run's error must not fail others
                batch.fail(run.id, PublishFailure.REFUSED, refusal_reason(error))
            else:
                batch.confirm(run.id)

    def poll(self, wake_fd: int, *, timeout_seconds: float) -> None:
        select.select([wake_fd], [], [], timeout_seconds)

    def close(self, *, timeout_seconds: float) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.release()
        self._connection = None
