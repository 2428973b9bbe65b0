"""A line of the log: what it has, and what it never shows."""

import json
import logging
import time
from datetime import UTC, datetime

import pytest
from celery import current_app
from celery._state import _task_stack
from django.views.debug import ExceptionReporter

from project.logs import JSONFormatter, TextFormatter, masked
from scheduler_api.http.middleware import current_request_id

URL = "amqp://someone:hunter2@host:5672//"


def record(message: str, *args: object, **more: object) -> logging.LogRecord:
    """Return what a call of a logger makes, at a known time."""
    made = logging.LogRecord("a.logger", logging.WARNING, __file__, 1, message, args, None)
    made.created = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC).timestamp()
    vars(made).update(more)
    return made


def failed_record() -> logging.LogRecord:
    """Return a record with an exception, and its cause, that hold a password."""
    error = RuntimeError(f"still {URL}")
    error.__cause__ = ConnectionError(URL)
    return record("It failed", exc_info=(RuntimeError, error, None))


@pytest.fixture(autouse=True)
def request_id():
    token = current_request_id.set("")
    yield current_request_id.set
    current_request_id.reset(token)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (URL, "amqp://someone:***@host:5672//"),
        (f"before {URL}, after", "before amqp://someone:***@host:5672//, after"),
        ("redis://:hunter2@host/0", "redis://:***@host/0"),
        ("postgres://u:p@ss:word@host/name", "postgres://u:***@host/name"),
        ("amqp://u:one@a;amqp://u:two@b", "amqp://u:***@a;amqp://u:***@b"),
        ("[('amqp://u:one@a//', 1), ('amqp://u:two@b//', 2)]",
         "[('amqp://u:***@a//', 1), ('amqp://u:***@b//', 2)]"),
        ("http://host:8000/a@b", "http://host:8000/a@b"),
        ("amqp://someone@host//", "amqp://someone@host//"),
        ("at 12:30 to me@example.org", "at 12:30 to me@example.org"),
    ],
)  # fmt: skip
def test_the_password_of_a_url_is_masked(text, shown):
    assert masked(text) == shown


@pytest.mark.parametrize("formatter", [TextFormatter(), JSONFormatter()])
@pytest.mark.parametrize(
    "made",
    [
        record(f"To {URL}"),
        record("To %s", URL),
        record("To %r", {"url": URL}),
        failed_record(),
        record("Here", stack_info=f"Stack:\n{URL}"),
        record("Here", members={"url": URL}),
    ],
    ids=["message", "argument", "argument's repr", "traceback", "stack", "member"],
)
def test_password_is_nowhere_in_a_line(formatter, made):
    assert "hunter2" not in formatter.format(made)


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "2026-01-02 03:04:05.678+00:00"),
        ("Europe/Berlin", "2026-01-02 04:04:05.678+01:00"),
        ("Asia/Kolkata", "2026-01-02 08:34:05.678+05:30"),
        ("America/St_Johns", "2026-01-01 23:34:05.678-03:30"),
    ],
)
def test_time_of_a_line_has_its_offset(monkeypatch, zone, shown):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        text = TextFormatter("%(asctime)s").format(record("Hello"))
    time.tzset()

    assert text == shown


def test_text_is_for_people(request_id):
    formatter = TextFormatter("%(levelname)s %(name)s: %(message)s")
    assert formatter.format(record("Hello %s", "you")) == "WARNING a.logger: Hello you"

    request_id("abc")

    assert formatter.format(record("Hello")) == "WARNING a.logger: Hello request_id=abc"
    assert formatter.format(failed_record()).startswith(
        "WARNING a.logger: It failed request_id=abc\nConnectionError: "
    )


def test_json_is_for_programs(request_id):
    request_id("abc")

    line = JSONFormatter().format(record("Hello\n%s", "you", members={"status": 200}))

    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-02T03:04:05.678000+00:00",
        "level": "WARNING",
        "logger": "a.logger",
        "message": "Hello\nyou",
        "request_id": "abc",
        "status": 200,
    }


def test_json_has_the_whole_traceback():
    members = json.loads(JSONFormatter().format(failed_record()))

    assert members["message"] == "It failed"
    assert members["exception"].startswith("ConnectionError: amqp://someone:***@")
    assert members["exception"].endswith("RuntimeError: still amqp://someone:***@host:5672//")


def test_the_debug_page_shows_no_password(settings, rf):
    settings.DEBUG = True
    settings.BROKER_URL = URL
    request = rf.get("/", DATABASE_URL=URL)

    page = ExceptionReporter(request, RuntimeError, RuntimeError(), None).get_traceback_html()

    assert page.count("amqp://someone:***@host:5672//") >= 2
    assert "hunter2" not in page


# --- Secret arguments of the running task -------------------------------------------------------


def sign_in(**options):
    """Accept any keyword arguments."""


@pytest.fixture
def running():
    """A running task with secret arguments."""
    task = current_app.task(name="a_project.sign_in", lazy=False)(sign_in)
    _task_stack.push(task)
    task.push_request(args=["ann", {"apiKey": "pass-phrase"}], kwargs={"password": "hunter2"})
    yield
    task.pop_request()
    _task_stack.pop()
    current_app.tasks.unregister(task)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("formatter", [TextFormatter(), JSONFormatter()])
@pytest.mark.parametrize(
    "made",
    [
        record("Task %(name)s succeeded: %(result)s", {"name": "a", "result": "hunter2"}),
        record("Signing in ann with %r", "hunter2"),
        record("With %r", {"a": "pass-phrase"}),
        record("It failed", exc_info=(ValueError, ValueError("no hunter2"), None)),
        record("Here", stack_info="Stack:\nhunter2"),
        record("Here", members={"key": "pass-phrase"}),
    ],
)  # fmt: skip
def test_secret_argument_of_the_running_task_is_nowhere_in_a_line(formatter, made):
    line = formatter.format(made)

    assert "hunter2" not in line
    assert "pass-phrase" not in line


def test_line_outside_a_task_is_unchanged():
    assert TextFormatter("%(message)s").format(record("hunter2")) == "hunter2"
