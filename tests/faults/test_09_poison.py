"""Invalid rows, inserted by SQL without validation, do not affect other periodic tasks."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.faults import definitions
from tests.faults.arm import Arm
from tests.faults.overlapping import TrialFactory
from tests.faults.processes import wait_until

pytestmark = [pytest.mark.calm, pytest.mark.control]

CRONTAB = {"minute": "*", "hour": "*", "day_of_month": "*", "month_of_year": "*"}
CRONTAB |= {"day_of_week": "*", "timezone": "UTC"}
SECONDLY = {"every": 1, "period": "seconds"}

# Rows that stop or blind stock beat: kind of schedule, its columns, columns of the task.
POISON: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "endless interval": ("interval", {"every": 2147483647, "period": "days"}, {}),
    "hot interval": ("interval", {"every": 1, "period": "microseconds"}, {}),
    "no interval": ("interval", {"every": 0, "period": "seconds"}, {}),
    "negative interval": ("interval", {"every": -5, "period": "seconds"}, {}),
    "bad period": ("interval", {"every": 1, "period": "fortnights"}, {}),
    "headers a list": ("interval", SECONDLY, {"headers": "[]"}),
    "headers a text": ("interval", SECONDLY, {"headers": '"x"'}),
    "headers not JSON": ("interval", SECONDLY, {"headers": "{"}),
    "headers of Celery: task": (
        "interval",
        SECONDLY,
        {"headers": '{"task": "tests.faults.tasks.record_nothing"}'},
    ),
    "headers of Celery: id": ("interval", SECONDLY, {"headers": '{"id": "another"}'}),
    "args an object": ("interval", SECONDLY, {"args": '{"a": 1}'}),
    "args a text": ("interval", SECONDLY, {"args": '"abc"'}),
    "args a number": ("interval", SECONDLY, {"args": "5"}),
    "args not JSON": ("interval", SECONDLY, {"args": "["}),
    "kwargs a list": ("interval", SECONDLY, {"kwargs": "[1]"}),
    "kwargs not JSON": ("interval", SECONDLY, {"kwargs": "nope"}),
    "args that do not fit": ("interval", SECONDLY, {"args": "[1, 2, 3]"}),
    "unknown queue": ("interval", SECONDLY, {"queue": "nobody"}),
    "unknown task": ("interval", SECONDLY, {"task": "nobody.knows"}),
    "no schedule": ("", {}, {}),
    "unknown zone": ("crontab", CRONTAB | {"timezone": "Mars/Olympus"}, {}),
    "empty minute": ("crontab", CRONTAB | {"minute": ""}, {}),
    "incomplete minute": ("crontab", CRONTAB | {"minute": "*/"}, {}),
    "negative minute": ("crontab", CRONTAB | {"minute": "-1"}, {}),
    "unknown solar event": ("solar", {"event": "moonrise", "latitude": 52, "longitude": 13}, {}),
}
# Valid rows that are never due; stock beat does not report them.
NEVER_DUE = {
    "31 February": ("crontab", CRONTAB | {"day_of_month": "31", "month_of_year": "2"}, {})
}


def test_poison_rows_are_reported_and_do_not_affect_other_tasks(make_trial: TrialFactory) -> None:
    poisoned = make_trial("09 poison rows")
    poisoned.start()
    poisoned.define("neighbour", count=20)
    poisoned.run_for(5)

    poisoned.for_each_arm(insert_poison_rows)

    poisoned.run_for(7)
    for arm in poisoned.arms:
        if arm.name == "ours":
            wait_until(
                lambda arm=arm: set(errors_by_name(arm)) >= set(POISON | NEVER_DUE),
                timeout_seconds=5,
            )
            assert arm.beat.is_alive()
            assert all(errors_by_name(arm).values())
            assert all("would never run" in errors_by_name(arm)[name] for name in NEVER_DUE)
        else:
            assert not arm.beat.is_alive()
    poisoned.judge()


def errors_by_name(arm: Arm) -> dict[str, str]:
    """Return the error of each poison row, by name."""
    with arm.connect() as connection:
        found = definitions.errors_of(connection)
    prefix = prefix_of(arm)
    assert all(name.startswith(prefix) for name in found), found
    return {name.removeprefix(prefix): reason for name, reason in found.items()}


def prefix_of(arm: Arm) -> str:
    return f"{arm.prefix}poison-"


def insert_poison_rows(arm: Arm) -> None:
    with psycopg.connect(arm.url) as connection:
        # Without a worker that has announced itself, the unknown task would be sent.
        definitions.insert_worker(connection)
        for name, (kind, schedule, columns) in (POISON | NEVER_DUE).items():
            reference = {}
            if kind:
                table = f"django_celery_beat_{kind}schedule"
                reference[f"{kind}_id"] = definitions.insert(connection, table, **schedule)
            definitions.insert_task(
                connection,
                f"{prefix_of(arm)}{name}",
                changed_at=datetime.now(UTC),
                **(reference | columns),
            )
        definitions.mark_changed(connection)
