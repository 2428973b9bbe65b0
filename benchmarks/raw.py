"""The raw limit: py-amqp publishes one prebuilt message repeatedly.

    python -m benchmarks.raw QUEUE MESSAGES

It prints the elapsed seconds and the CPU seconds. The message is a persistent one of a periodic
task; the channel is in confirm mode, and confirms are awaited in batches of 1,000.
"""

import json
import sys
from time import perf_counter, process_time

import amqp
from celery import Celery
from kombu import Connection

from benchmarks.queues import BROKER

AWAITED_AT_ONCE = 1000


def main(queue: str, messages: int) -> None:
    with Connection(BROKER) as connection:
        channel = connection.channel()
        channel.confirm_select()
        confirmed, beyond = 0, set()  # all tags up to this one, and single later ones

        def record_ack(tag: int, multiple: bool) -> None:
            nonlocal confirmed, beyond
            if multiple:
                confirmed, beyond = tag, {each for each in beyond if each > tag}
            else:
                beyond.add(tag)

        channel.events["basic_ack"].add(record_ack)
        message = prebuilt()
        started, used = perf_counter(), process_time()
        for number in range(1, messages + 1):
            channel.basic_publish(message, exchange=queue, routing_key=queue)
            if number % AWAITED_AT_ONCE == 0 or number == messages:
                while confirmed + len(beyond) < number:
                    channel.connection.drain_events(timeout=10)
        print(perf_counter() - started, process_time() - used)


def prebuilt() -> amqp.Message:
    """Return the message that Celery creates for a periodic task."""
    app = Celery(set_as_current=False)
    headers, properties, body, _ = app.amqp.as_task_v2(
        "00000000-0000-5000-8000-000000000000", "project.tasks.add", args=[1234567, 1], kwargs={}
    )
    return amqp.Message(
        json.dumps(body),
        content_type="application/json",
        content_encoding="utf-8",
        application_headers={**headers, "periodic_task_name": "Report 1234567"},
        delivery_mode=2,
        priority=0,
        **properties,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
