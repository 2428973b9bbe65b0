"""The delay of webhook messages while one owner's receivers are slow.

Run from the root of the repository:

    python -m benchmarks.webhooks [--seconds 60] [--owners 5] [--pings 240] [--slow-seconds 14]

One owner has 20 webhooks at a receiver that answers each message after 14 seconds, and 240
messages wait for it. The other owners have a webhook each at a receiver that answers at once, and
get two messages per second. The figures are the seconds from the message's entry in the database
to its arrival. The database is SQLite in a temporary folder, or that of DATABASE_URL, which must
be empty.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import quantiles
from threading import Thread
from time import monotonic, sleep
from uuid import uuid4

SLOW_WEBHOOKS, MESSAGES_PER_SECOND, ARRIVAL_TIMEOUT_SECONDS = 20, 2, 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--owners", type=int, default=5)
    parser.add_argument("--pings", type=int, default=240)
    parser.add_argument("--slow-seconds", type=float, default=14)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, receiving(chosen.slow_seconds) as receiver:
        os.environ |= {
            "DATA_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "OUTGOING_PRIVATE_ADDRESSES": "127.0.0.1/32",
            "LOG_LEVEL": "ERROR",
        }
        delays = measure(receiver, chosen)
    report(delays, receiver, chosen)


class Receiver(ThreadingHTTPServer):
    """Answers /quick at once and /slow late, and keeps the arrival of each message."""

    daemon_threads, request_queue_size = True, 100

    def __init__(self, slow_seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.slow_seconds = slow_seconds
        self.arrivals: dict[str, float] = {}
        self.slow_arrivals = 0


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/slow":
            self.server.slow_arrivals += 1
            sleep(self.server.slow_seconds)
        else:
            self.server.arrivals[self.headers["webhook-id"]] = monotonic()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def receiving(slow_seconds: float) -> Iterator[Receiver]:
    """Run the receiver in a thread."""
    with Receiver(slow_seconds) as receiver:
        Thread(target=receiver.serve_forever, daemon=True).start()
        yield receiver
        receiver.shutdown()


def measure(receiver: Receiver, chosen: argparse.Namespace) -> list[float]:
    """Return the delay of each message of the other owners, in seconds."""
    import django  # noqa: PLC0415 - after the environment is set
    from django.core.management import call_command  # noqa: PLC0415

    django.setup()
    call_command("migrate", verbosity=0)
    address = f"http://127.0.0.1:{receiver.server_port}"
    slow = [webhook("hostile", f"{address}/slow") for _ in range(SLOW_WEBHOOKS)]
    others = [webhook(f"owner {number}", f"{address}/quick") for number in range(chosen.owners)]
    for number in range(chosen.pings):
        enter(slow[number % SLOW_WEBHOOKS])
    sender = subprocess.Popen([sys.executable, "manage.py", "deliver_webhooks"])
    try:
        wait_for(lambda: receiver.slow_arrivals > 0)
        entered = {}
        started = monotonic()
        while monotonic() - started < chosen.seconds:
            for other in others:
                at = monotonic()
                entered[enter(other)] = at
                sleep(1 / MESSAGES_PER_SECOND / chosen.owners)
        wait_for(lambda: entered.keys() <= receiver.arrivals.keys())
    finally:
        sender.kill()
        sender.wait()
    return [receiver.arrivals[message] - at for message, at in entered.items()]


def webhook(owner: str, url: str) -> object:
    """Store a webhook of an account that may receive messages."""
    from scheduler_api.access.models import ApiKey, ServiceAccount  # noqa: PLC0415
    from scheduler_api.webhooks.models import Webhook  # noqa: PLC0415

    account, is_new = ServiceAccount.objects.get_or_create(
        name=owner, defaults={"scopes": ["webhooks:write"]}
    )
    if is_new:
        ApiKey.issue(account)
    stored = Webhook(owner=account, name="Benchmark", url=url)
    stored.renew_secret()
    stored.save()
    return stored


def enter(recipient: object) -> str:
    """Enter a due message, and return its id."""
    from scheduler_api.webhooks.models import Delivery  # noqa: PLC0415
    from scheduler_api.webhooks.payloads import PING, payload_of  # noqa: PLC0415

    now = datetime.now(UTC)
    delivery = Delivery.objects.create(
        webhook=recipient,
        event_id=f"msg_{uuid4().hex}",
        type=PING,
        payload=payload_of(PING, {}, at=now),
        next_attempt_at=now,
        created_at=now,
    )
    return delivery.event_id


def wait_for(condition) -> None:
    """Wait until a condition holds; fail after ARRIVAL_TIMEOUT_SECONDS."""
    deadline = monotonic() + ARRIVAL_TIMEOUT_SECONDS
    while not condition():
        assert monotonic() < deadline, "A message has not arrived."
        sleep(0.05)


def report(delays: list[float], receiver: Receiver, chosen: argparse.Namespace) -> None:
    """Print the percentiles of the delay."""
    cuts = quantiles(delays, n=100)
    print(f"{receiver.slow_arrivals} of {chosen.pings} messages reached the slow receiver.")
    print("| messages of others | median | p95 | p99 | maximum |\n|---|---|---|---|---|")
    print(
        f"| {len(delays)} | {cuts[49]:.2f} s | {cuts[94]:.2f} s | {cuts[98]:.2f} s "
        f"| {max(delays):.2f} s |"
    )


if __name__ == "__main__":
    main()
