"""Every line that we log has an event; docs/operating.md lists all events with their fields."""

import ast
import json
import logging
import re
from collections import defaultdict
from pathlib import Path

import pytest

from project.logs import JSONFormatter
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

ROOT = Path(__file__).parent.parent
# Sample tasks log as the tasks of any project do; these two have no lines of their own.
WITHOUT_EVENTS = {"project/tasks.py", "project/celery.py", "scheduler_api/log_events.py"}
MODULES = [
    path
    for package in ("project", "scheduler_api")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.relative_to(ROOT).as_posix() not in WITHOUT_EVENTS
]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
ROW = re.compile(r"^\| `([a-z_]+)` \| ([^|]*?) ?\| ([^|]+) \|$", re.MULTILINE)


def logged_events() -> dict[str, set[str]]:
    """Return the fields of each event that our code logs."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            event = call.args[0]
            if isinstance(event, ast.Attribute) and ast.unparse(event.value) == "LogEvent":
                fields = {keyword.arg for keyword in call.keywords if keyword.arg}
                found[LogEvent[event.attr].value] |= fields - {"exc_info"}
    return found


def documented_events() -> dict[str, set[str]]:
    """Return the fields of each event in docs/operating.md."""
    text = (ROOT / "docs/operating.md").read_text()
    section = text.partition("### Log events")[2].partition("\n## ")[0]
    return {name: set(re.findall(r"`(\w+)`", fields)) for name, fields, _ in ROW.findall(section)}


def test_log_event_without_a_line_that_logs_it_does_not_exist():
    assert set(logged_events()) == {event.value for event in LogEvent}


def test_docs_list_every_log_event_with_its_fields():
    assert documented_events() == logged_events()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_module_logs_by_an_event_logger_alone(path):
    tree = ast.parse(path.read_text())
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    calls = [
        call
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in LEVELS
        and ast.unparse(call.func.value) == "logger"
    ]

    assert "getLogger" not in names
    assert all(ast.unparse(call.args[0]).startswith("LogEvent.") for call in calls)


def test_event_and_fields_are_members_of_a_json_line(caplog):
    caplog.set_level(logging.INFO)

    EventLogger("a.module").info(LogEvent.RUNS_PRUNED, "Deleted %(count)d runs", count=3)

    [record] = caplog.records
    assert record.getMessage() == "Deleted 3 runs"
    line = json.loads(JSONFormatter().format(record))
    assert (line["event"], line["count"], line["message"]) == ("runs_pruned", 3, "Deleted 3 runs")
    assert (record.name, record.filename) == ("a.module", Path(__file__).name)


def test_sentence_without_fields_may_have_a_percent_sign(caplog):
    caplog.set_level(logging.INFO)

    EventLogger("a.module").info(LogEvent.STOPPING, "Half of it is 50 %")

    assert caplog.messages == ["Half of it is 50 %"]


def test_exception_has_its_traceback(caplog):
    try:
        int("bad")
    except ValueError as error:
        EventLogger("a.module").exception(LogEvent.TICK_FAILED, "A tick failed")
        EventLogger("a.module").error(LogEvent.TICK_FAILED, "A tick failed", exc_info=error)

    assert caplog.text.count("ValueError: invalid literal") == 2


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("two\n  lines"), "two lines"), (TimeoutError(), "TimeoutError")],
)
def test_error_is_shown_in_one_line(error, line):
    assert in_one_line(error) == line
