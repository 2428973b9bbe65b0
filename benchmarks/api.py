"""Our API compared with a plain ModelViewSet (benchmarks/plain.py) over the same rows.

Run from the root of the repository; it takes about two minutes:

    python -m benchmarks.api

It creates a database with 100,000 periodic tasks on the PostgreSQL of DATABASE_URL, and drops it
afterwards. One gunicorn process serves both sides, which alternate in each round, over keep-alive
connections. Requests per second are medians of the rounds, measured with two connections at once;
latencies are percentiles over all rounds, measured with one connection.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from random import Random
from statistics import median, quantiles
from time import monotonic, perf_counter
from urllib.parse import urlsplit

from benchmarks.served import TASKS, Client, Server, served

ROUNDS = 5
CONNECTIONS = 2
LIST_SECONDS = 2
PAGES, READS, WRITES = 20, 150, 40
LAST_PAGE, PAGE_SIZE = 2000, 50
BATCH = 500
LARGEST_PAGE = 500


@dataclass(kw_only=True)
class Side:
    """One side of the comparison: its addresses, its body for a new task, and its results."""

    name: str
    tasks: str
    last_page: str
    new_task: Mapping[str, object]
    lists_per_second: list[float] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    created_singly: list[float] = field(default_factory=list)
    created_in_batches: list[float] = field(default_factory=list)

    def percentile(self, what: str, percent: int) -> float:
        """Return a percentile of the latencies, in milliseconds."""
        return 1000 * quantiles(self.seconds[what], n=100)[percent - 1]


def main() -> None:
    with served() as server:
        with server.client() as client:
            ours = Side(
                name="ours",
                tasks="/api/v1/periodic-tasks/",
                last_page=page_by_links(client, "/api/v1/periodic-tasks/"),
                new_task={"task": "project.tasks.add", "interval": 1, "args": [1, 2]},
            )
            plain = Side(
                name="plain",
                tasks="/plain/periodic-tasks/",
                last_page=f"/plain/periodic-tasks/?page={LAST_PAGE}",
                new_task={"task": "project.tasks.add", "interval_id": 1, "args": "[1, 2]"},
            )
            refuse_unlike(client, ours, plain)
        numbers = count(1)
        for _ in range(ROUNDS):
            for side in (ours, plain):
                measure(server, side, numbers)
            measure_batch(server, ours, numbers)
    report(ours, plain)


def page_by_links(client: Client, tasks: str) -> str:
    """Return the address of the last page, found by the links of larger pages."""
    before = (LAST_PAGE - 1) * PAGE_SIZE
    page = f"{tasks}?page_size={LARGEST_PAGE}"
    for _ in range(before // LARGEST_PAGE):
        page = client.get(page)["next"]
    page = page.replace(f"page_size={LARGEST_PAGE}", f"page_size={PAGE_SIZE}")
    for _ in range(before % LARGEST_PAGE // PAGE_SIZE):
        page = client.get(page)["next"]
    address = urlsplit(page)
    return f"{address.path}?{address.query}"


def refuse_unlike(client: Client, ours: Side, plain: Side) -> None:
    """Fail unless both sides have the same periodic tasks on the compared pages."""
    for pages in zip(compared_pages(ours), compared_pages(plain), strict=True):
        names = [[task["name"] for task in client.get(page)["results"]] for page in pages]
        assert names[0] == names[1], pages


def compared_pages(side: Side) -> tuple[str, ...]:
    return side.tasks, f"{side.tasks}?page_size=100", side.last_page


def measure(server: Server, side: Side, numbers: Iterator[int]) -> None:
    """Measure one side for one round."""
    first_page, list_of_100, last_page = compared_pages(side)
    side.lists_per_second.append(rate(server, list_of_100))
    random = Random(2)

    def address() -> str:
        return f"{side.tasks}{random.randint(1, TASKS)}/"

    with server.client() as client:

        def create() -> None:
            client.send("POST", side.tasks, {**side.new_task, "name": f"New {next(numbers)}"})

        def patch() -> None:
            client.send("PATCH", address(), {"description": f"Adds {next(numbers)}"})

        record(side, "page 1", PAGES, lambda: client.send("GET", first_page))
        record(side, "page 2,000", PAGES, lambda: client.send("GET", last_page))
        record(side, "create", WRITES, create)
        record(side, "read", READS, lambda: client.send("GET", address()))
        record(side, "patch", WRITES, patch)


def rate(server: Server, path: str) -> float:
    """Return the requests answered per second."""
    end = monotonic() + LIST_SECONDS

    def ask() -> int:
        answered = 0
        with server.client() as client:
            while monotonic() < end:
                client.send("GET", path)
                answered += 1
        return answered

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        asking = [pool.submit(ask) for _ in range(CONNECTIONS)]
        return sum(each.result() for each in asking) / LIST_SECONDS


def measure_batch(server: Server, ours: Side, numbers: Iterator[int]) -> None:
    """Create periodic tasks one by one, and as many in a batch, with varied inline schedules."""

    def bodies() -> Iterator[dict[str, object]]:
        for number in range(BATCH):
            minutes = {"type": "interval", "every": number % 20 + 1, "period": "minutes"}
            hourly = {"type": "crontab", "minute": str(number % 10), "timezone": "UTC"}
            yield {
                "name": f"New {next(numbers)}",
                "task": "project.tasks.add",
                "kwargs": {"x": number, "y": 1},
                "schedule": (minutes, hourly)[number % 2],
            }

    with server.client() as client:
        started = perf_counter()
        for body in bodies():
            client.send("POST", ours.tasks, body)
        ours.created_singly.append(BATCH / (perf_counter() - started))
        operations = [{"op": "create", "body": body} for body in bodies()]
        started = perf_counter()
        client.send("POST", f"{ours.tasks}batch/", {"operations": operations})
        ours.created_in_batches.append(BATCH / (perf_counter() - started))


def record(side: Side, what: str, times: int, ask: Callable[[], object]) -> None:
    """Record the latency of each request; the first three are a warm-up."""
    durations = []
    for _ in range(3 + times):
        started = perf_counter()
        ask()
        durations.append(perf_counter() - started)
    side.seconds.setdefault(what, []).extend(durations[3:])


def report(ours: Side, plain: Side) -> None:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, {TASKS:,} periodic tasks, {ROUNDS} rounds\n")
    print(f"{'':28}{'ours':>10}{'plain':>10}{'ratio':>8}")
    sides = (ours, plain)
    line("list of 100, per second", *(median(side.lists_per_second) for side in sides))
    for what in ours.seconds:
        for percent in (50, 99):
            times = [side.percentile(what, percent) for side in sides]
            line(f"{what}, p{percent}, ms", *times)
    slower = [side.percentile("page 2,000", 50) / side.percentile("page 1", 50) for side in sides]
    line("page 2,000 / page 1, p50", *slower)
    print(f"\n{'':28}{'batch':>10}{'singly':>10}{'ratio':>8}")
    line(
        f"create {BATCH}, per second", median(ours.created_in_batches), median(ours.created_singly)
    )


def line(name: str, ours: float, plain: float) -> None:
    print(f"{name:28}{ours:10.2f}{plain:10.2f}{ours / plain:8.2f}")


if __name__ == "__main__":
    main()
