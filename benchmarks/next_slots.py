"""Next slots of crontabs per second: ours compared with cronsim, croniter and Celery.

Run from the root of the repository:

    python -m benchmarks.next_slots

Each program computes the first slot after the same times for the same crontabs. Our objects and
Celery's are created once, as beat does; croniter and cronsim hold a position, so each query
creates a new object. A query that a program cannot answer, or answers by another rule (for clock
changes, or day of month OR day of week), is left out for it and counted in brackets. One core.
"""

import platform
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from zoneinfo import ZoneInfo

import celery.schedules
from croniter import CroniterError, croniter
from cronsim import CronSim

from scheduler_api.schedules.expression import parse_expression
from scheduler_api.schedules.kinds import Crontab
from scheduler_api.schedules.slots import next_slot

Query = tuple[str, ZoneInfo, datetime]
Answer = Callable[[], datetime]
Program = Callable[[str, ZoneInfo, datetime], Answer]

RUNS = 7
MOMENTS = [
    datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day, minutes=613 * day)
    for day in range(0, 366, 30)
]
BERLIN_SPRING = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
BERLIN_AUTUMN = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
CRONTABS = {
    "common": (
        MOMENTS,
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"],
        ["* * * * *", "*/5 * * * *", "0 * * * *", "0 */6 * * *", "30 7 * * 1-5", "0 3 * * *"],
    ),
    "sparse": (
        MOMENTS,
        ["UTC", "America/Havana"],
        ["0 0 1 * *", "15 4 * * 0", "0 12 25 12 *", "*/20 9-17 * 6-8 mon-fri"],
    ),
    "near a clock change": (
        [BERLIN_SPRING, BERLIN_AUTUMN],
        ["Europe/Berlin"],
        ["30 * * * *", "30 2 * * *", "*/10 1-3 * * *", "0 */2 * * *"],
    ),
    "rare": (
        [MOMENTS[0], MOMENTS[6]],
        ["UTC", "Europe/Berlin"],
        ["0 0 29 2 *", "* * 29 2 *", "0 0 29 2 1", "* * 29 2 1"],
    ),
}


def main() -> None:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, median of {RUNS} runs, next slots per second\n")
    print(f"{'':26}" + "".join(f"{name:>16}" for name in PROGRAMS))
    everything: list[Query] = []
    for name, (moments, zones, expressions) in CRONTABS.items():
        queries = [
            (expression, ZoneInfo(zone), moment)
            for expression in expressions
            for zone in zones
            for moment in moments
        ]
        everything += queries
        report(name, queries)
    report("all", everything)


def report(name: str, queries: list[Query]) -> None:
    cells = [f"{name} ({len(queries)})".ljust(26)]
    for program in PROGRAMS.values():
        answers = [program(*query) for query in queries if is_right(program, query)]
        left_out = len(queries) - len(answers)
        rate = f"{per_second(answers):,.0f}" if answers else "-"
        cells.append(f"{rate}{f' (-{left_out})' if left_out else ''}".rjust(16))
    print("".join(cells))


def is_right(program: Program, query: Query) -> bool:
    try:
        answer = program(*query)()
    except (CroniterError, RuntimeError, StopIteration):
        return False
    return answer.astimezone(UTC) == ours(*query)()


def per_second(answers: list[Answer]) -> float:
    durations = []
    for _ in range(RUNS):
        started = perf_counter()
        for answer in answers:
            answer()
        durations.append(perf_counter() - started)
    return len(answers) / median(durations)


def ours(expression: str, zone: ZoneInfo, after: datetime) -> Answer:
    schedule = Crontab(**parse_expression(expression)._asdict(), timezone=zone)
    return lambda: next_slot(schedule, after) or after


def cronsim(expression: str, zone: ZoneInfo, after: datetime) -> Answer:
    return lambda: next(CronSim(expression, after.astimezone(zone)))


def croniter_(expression: str, zone: ZoneInfo, after: datetime) -> Answer:
    return lambda: croniter(expression, after.astimezone(zone), day_or=False).get_next(datetime)


def celery_(expression: str, zone: ZoneInfo, after: datetime) -> Answer:
    fields = parse_expression(expression)._asdict()
    schedule = celery.schedules.crontab(**fields, nowfun=lambda: after)
    schedule.tz = zone
    return lambda: after + schedule.remaining_estimate(after)


PROGRAMS = {"ours": ours, "cronsim": cronsim, "croniter": croniter_, "celery": celery_}


if __name__ == "__main__":
    main()
