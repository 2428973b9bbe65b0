"""The table "How a run ends" of docs/runs.md: each row has a test."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "runs.md").read_text()
[TABLE] = re.findall(r"<!-- ends: begin -->(.*?)<!-- ends: end -->", PAGE, re.DOTALL)
ROWS = [
    row for row in re.findall(r"^\| (.+?) \| .+ \|$", TABLE, re.MULTILINE) if "The " not in row
]

JOURNEY = "journeys.test_ends"
SIGNALS, REPLACEMENTS = "worker.test_signals", "worker.test_replacements"
ANY_RESULT, MAIN = "worker.test_any_result", "worker.test_main_process"
# The module of the test, and its name; or, of the journey, the name in ENDS.
TESTS = {
    "returns": (JOURNEY, "return"),
    "returns a value that is not JSON": (ANY_RESULT, "test_any_result_is_stored_and_read"),
    "raises an exception": (ANY_RESULT, "test_exception_is_stored_and_read_with_its_class"),
    "raises `SystemExit`": (JOURNEY, "SystemExit"),
    "raises `Ignore`": (JOURNEY, "Ignore"),
    "raises `Retry`": (JOURNEY, "Retry"),
    "has used up `max_retries`": (JOURNEY, "Retry too often"),
    "cannot publish its retry": (SIGNALS, "test_retry_that_cannot_be_published_fails_the_run"),
    "raises `Reject(requeue=True)`": (JOURNEY, "Reject with requeue"),
    "raises another `Reject`": (JOURNEY, "Reject after the acknowledgement"),
    "is replaced": (REPLACEMENTS, "test_run_fails_with_its_replacement"),
    "starts other tasks": (JOURNEY, "own chain"),
    "exceeds its hard time limit": ("journeys.test_runs", "runs_end_at_their_time_limits"),
    "has a result that the result backend refuses": (
        SIGNALS,
        "test_result_that_the_backend_refuses_fails_the_run",
    ),
    "loses its process": ("journeys.killed", "processes_that_are_killed_lose_their_runs"),
    "loses its worker": (
        "journeys.killed",
        "a_worker_that_is_killed_loses_its_runs_and_frees_the_next",
    ),
    "is revoked": (MAIN, "test_revoked_message_ends_the_run"),
    "expires": (JOURNEY, "test_message_that_expires_while_workers_are_away_blocks_no_slot"),
    "is returned": (
        "scheduler.test_engine",
        "test_unroutable_run_has_a_reason_and_is_not_republished",
    ),
    "is refused for now": ("broker.test_failing_connections", "test_nacked_message_is_unanswered"),
    "is gone": (
        "journeys.test_lost_messages",
        "test_runs_of_a_purged_rabbitmq_queue_are_republished",
    ),
    "is dead-lettered": (JOURNEY, "test_dead_lettered_message_starts_from_its_other_queue"),
    "is of a task that the worker does not have": (
        "journeys.test_shared_queues",
        "test_run_of_a_task_that_its_worker_does_not_have_stays_queued_with_a_reason",
    ),
    "cannot be read": (JOURNEY, "test_message_that_the_worker_cannot_read_fails_the_run"),
    "comes a second time": (
        "journeys.test_runs",
        "a_message_that_comes_twice_starts_its_run_once",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_row_has_a_test(row):
    [(module, name)] = [test for way, test in TESTS.items() if is_about(row, way)]

    tests = import_module(f"tests.{module}")

    assert name in getattr(tests, "ENDS", {}) or callable(getattr(tests, name))


def is_about(row: str, way: str) -> bool:
    """Return whether a row begins with this way, and with no longer one."""
    longer = [other for other in TESTS if row.startswith(other) and len(other) > len(way)]
    return row.startswith(way) and not longer


def test_each_test_is_about_a_row():
    assert len(ROWS) == len(TESTS)
