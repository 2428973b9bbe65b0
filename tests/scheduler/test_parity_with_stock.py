"""Random rows and entries of settings, as stock beat and as ours send them.

Where the stock scheduler sends a message, ours sends an equal one, or refuses the row with a
reason that docs/beat.md lists. Where the stock scheduler cannot send, ours refuses.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from celery import current_app
from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from celery.schedules import crontab, schedule
from django.db import DatabaseError, transaction
from django.test import override_settings
from django_celery_beat import schedulers
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import ModelEntry
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from scheduler_api.broker.capture import (
    Message,
    Unsendable,
    _Captured,
    _CapturingProducer,
    capture,
)
from scheduler_api.broker.frames import FrameTemplate, encode
from scheduler_api.broker.message_templates import MessageTemplates
from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.periodic_tasks.settings_entry import (
    LONGEST_FRACTION,
    ONE_SECOND,
    SettingsEntry,
    ignored_parts,
)
from scheduler_api.runs import message_options, stored_calls
from scheduler_api.runs.message_options import options_of, problem_with
from scheduler_api.schedules.crontab_fields import CrontabFields, parse_fields
from scheduler_api.schedules.kinds import Interval, InvalidSchedule
from scheduler_api.schedules.tables import schedule_of
from tests.scheduler.examples import make_app

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
CHANNEL_NUMBER, FRAME_MAX = 1, 131072
DOCS = Path(__file__).parents[2] / "docs" / "beat.md"
APP = make_app(
    timezone="Europe/Berlin",
    task_routes={"routed.*": {"queue": "celery.topic", "routing_key": "a.b"}},
)
TEMPLATES = MessageTemplates(APP)
as_projects_have_it = override_settings(
    UNREGISTERED_TASKS="allow",
    ALLOW_CUSTOM_ROUTING=True,
    QUEUES=["celery", "celery.other", "celery.topic"],
)


def listed_reasons() -> Iterator[re.Pattern[str]]:
    """Yield the first column of the table in docs/beat.md, where `…` stands for any text."""
    section = DOCS.read_text().partition("## Quarantine")[2].partition("\n#")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            for reason in re.findall("`([^`]+)`", line.split("|")[1]):
                yield re.compile(re.escape(reason).replace("…", ".*"), re.DOTALL)


LISTED = tuple(listed_reasons())


def assert_listed(reason: str) -> None:
    is_listed = any(pattern.fullmatch(reason) for pattern in LISTED)
    assert is_listed, f"docs/beat.md does not list: {reason}"


# --- What each of the two sends -------------------------------------------------------------


class Refused(Exception):
    """A scheduler does not send the row; the text says why."""


def outcome_of(step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the result of a step, or the Refused that it raises."""
    try:
        return step(*args, **kwargs)
    except Refused as refusal:
        return refusal


class StockEntry(ModelEntry):
    """The entry of the stock scheduler, which disables a row that it cannot read."""

    def _disable(self, model: PeriodicTask) -> None:
        raise Refused("The stock scheduler disables it.")


@pytest.fixture(autouse=True, scope="module")
def _both_schedule_for_the_app() -> Iterator[None]:
    """Make APP the app of this process, and drop what is remembered of its tasks afterwards.

    Thousands of tracebacks of rows that the stock scheduler disables are not logged.
    """
    before = current_app._get_current_object()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedulers.logger, "exception", lambda *_: None)
        APP.set_current()
        forget()
        yield
        before.set_current()
        forget()


def forget() -> None:
    message_options._problem_beside_arguments.cache_clear()
    stored_calls._problem_with_short_call.cache_clear()


def frames_of(message: Message) -> bytes:
    return encode(message, channel_number=CHANNEL_NUMBER, frame_max=FRAME_MAX)


def sent_by(entry: ScheduleEntry) -> Message:
    """Return the message that celery.beat.Scheduler publishes for an entry; raises Refused."""
    try:
        Scheduler(app=APP, lazy=True).apply_async(
            entry, producer=_CapturingProducer(APP), advance=False
        )
    except SchedulingError as error:
        if isinstance(error.__context__, _Captured):
            return Message(task=entry.task, **error.__context__.parts)
        raise Refused(str(error)) from error
    raise AssertionError("nothing was sent")


def sent_by_stock(row: PeriodicTask) -> Message:
    """Return the message of the stock scheduler; raises Refused."""
    try:
        message = sent_by(StockEntry(row, app=APP))
        frames_of(message)
    # Unsendable: RabbitMQ's client cannot encode it either.
    except (ValueError, TypeError, AttributeError, Unsendable) as error:
        raise Refused(str(error)) from error
    return message


def sent_by_ours(row: PeriodicTask, run_id: str, *, fast: bool) -> bytes:
    """Return the frames of our message, from a template or from Celery; raises Refused."""
    if reason := problem_with(row):
        raise Refused(reason)
    lifetime = row.expire_seconds and timedelta(seconds=row.expire_seconds)
    run = Outgoing(
        id=run_id,
        periodic_task_name=row.name,
        task=row.task,
        args=row.args or "[]",
        kwargs=row.kwargs or "{}",
        options=options_of(
            *(row.queue, row.exchange, row.routing_key, row.priority, row.headers),
            row.expires or (NOON + lifetime if lifetime else None),
        ),
    )
    try:
        assert not TEMPLATES.has_listeners()
        found = TEMPLATES.find(run) if fast else None
        if found is None:
            return frames_of(capture(APP, run))
        template, fields = found
        frames = FrameTemplate(template, channel_number=CHANNEL_NUMBER, frame_max=FRAME_MAX)
        return frames.render(fields)
    except Unsendable as error:
        raise Refused(str(error)) from error


@as_projects_have_it
def check_parity(row: PeriodicTask, theirs: Message | Refused) -> None:
    """Check that ours sends the message that the stock scheduler sends, or refuses the row."""
    run_id = "an id" if isinstance(theirs, Refused) else theirs.headers["id"]
    event("stock beat refuses" if isinstance(theirs, Refused) else "stock beat sends")
    for fast in (True, False):
        ours = outcome_of(sent_by_ours, row, run_id, fast=fast)
        if isinstance(ours, Refused):
            event("ours refuses")
            assert_listed(str(ours))
        else:
            event("ours sends")
            assert not isinstance(theirs, Refused), f"only ours sends it: {theirs}"
            assert ours == frames_of(in_utc(theirs))


def in_utc(message: Message) -> Message:
    """Return a message with `expires` in UTC, as ours; Celery writes the time zone of the app."""
    expires = message.headers["expires"]
    if expires is None:
        return message
    moment = datetime.fromisoformat(expires).astimezone(UTC)
    return replace(message, headers={**message.headers, "expires": moment.isoformat()})


# --- Rows -----------------------------------------------------------------------------------

TAGGED = {"__type__": "datetime", "__value__": "2027-06-01T12:00:00+00:00"}
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([2**63 - 1, 2**63, -(2**63), "\ud800", "x" * 3000, TAGGED]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.text(max_size=5) | st.sampled_from(
    [
        *("tenant", "x-a", "trace", "Task", "task", "id", "expires", "shadow", "headers", "CC"),
        *("periodic_task_name", "celery_beat_task", "", "ä" * 127, "ä" * 128),
    ]
)
junk = st.sampled_from(
    ["", "null", "[", "{}", "[]", '"abc"', "5", "0", '{"a": 1}', "[NaN]", "[1e999]", "[[]]", " "]
)
arrays = st.lists(values, max_size=3).map(json.dumps)
objects = st.dictionaries(st.text(max_size=5) | st.just("x"), values, max_size=3).map(json.dumps)
headers = st.dictionaries(names, values, max_size=3).map(json.dumps)
routes = st.sampled_from([None, None, None, "", "mine", "celery.other", "ü" * 128])
rows = st.builds(
    PeriodicTask,
    name=st.text(max_size=200).filter(lambda text: "\ud800" not in text),
    task=st.sampled_from(["any", "add", "limited", "unregistered", "routed.one"]),
    args=arrays | arrays | junk,
    kwargs=objects | st.just("{}") | junk,
    headers=headers | st.none() | junk,
    queue=st.sampled_from([None, None, "", "celery", "celery.other", "celery.topic", "nobody"]),
    exchange=routes,
    routing_key=routes,
    priority=st.none() | st.integers(0, 300),
    expire_seconds=st.none() | st.sampled_from([0, 1, 90, 2**31 - 1]),
    interval=st.just(IntervalSchedule(every=1, period="hours")),
)


@pytest.mark.django_db
@given(rows, st.none() | st.just(NOON + timedelta(days=1)))
@settings(max_examples=400)
@example(PeriodicTask(name="a", task="any", headers='{"tenant": "a"}'), None)
@example(PeriodicTask(name="a", task="any", expire_seconds=0), None)
@example(PeriodicTask(name="a", task="any", args="null", headers=""), None)
def test_row_is_sent_as_by_stock_beat_or_refused_with_a_listed_reason(row, expires):
    row.interval = IntervalSchedule(every=1, period="hours")
    for column in ("queue", "exchange", "routing_key"):  # as its save() does
        setattr(row, column, getattr(row, column) or None)
    if row.expire_seconds is None:
        row.expires = expires
    with time_machine.travel(NOON, tick=False):
        check_parity(row, outcome_of(sent_by_stock, row))


# --- Crontabs -------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(*"*,-/ ?0123456789", "*/60", "0, 30", "1-5", "mon", "Jan", "sunday", "mon-fri", "60"),
        *("24", "31", "*/5", "1_0", "[8, 20]", "L", "\n", "+"),
    ]
)
field = st.lists(PIECES, min_size=1, max_size=5).map("".join)
maybe = st.just("*") | field


@given(st.builds(CrontabFields, maybe, maybe, maybe, maybe, maybe))
@settings(max_examples=1000)
@example(CrontabFields(minute="*/60"))
@example(CrontabFields(hour="*/24"))
@example(CrontabFields(minute="0, 30"))
def test_crontab_row_has_the_slots_of_stock_beat_or_is_refused_with_a_listed_reason(fields):
    row = CrontabSchedule(**fields._asdict(), timezone=ZoneInfo("UTC"))
    ours = outcome_of(our_schedule, row)
    if isinstance(ours, Refused):
        assert_listed(str(ours))
        return
    values = parse_fields(ours.fields)
    try:
        theirs = row.schedule
    except Exception:  # noqa: BLE001 - the stock scheduler leaves the row out, whatever is raised
        return
    assert (set(values.minutes), set(values.hours)) == (theirs.minute, theirs.hour)
    assert set(values.days_of_month) == theirs.day_of_month
    assert set(values.months) == theirs.month_of_year
    assert set(values.weekdays) == theirs.day_of_week


def our_schedule(row: Any) -> Any:
    """Return the schedule by which beat plans a row; raises Refused."""
    try:
        return schedule_of(row, anchor=NOON)
    except InvalidSchedule as error:
        raise Refused(str(error)) from error


# --- Entries of the settings ----------------------------------------------------------------

numbers = st.integers(0, 6)
specs = st.one_of(
    st.just("*"),
    st.sampled_from(["*/2", "0, 3", "*/60", "1-5", "6-1"]),
    numbers,
    st.lists(numbers, min_size=1),
    st.sets(numbers, min_size=1),
    st.builds(range, st.just(1), st.integers(2, 7)),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "queue": st.sampled_from(["celery.other", "nobody", None]),
        "priority": st.integers(0, 9),
        "headers": st.dictionaries(names, values, max_size=2),
        "expires": st.integers(-1, 90) | st.none(),
        "expire_seconds": st.integers(1, 90),
        "countdown": st.integers(0, 9),
        "time_limit": st.integers(1, 9),
    },
)
entries = st.fixed_dictionaries(
    {
        "task": st.sampled_from(["any", "add", "unregistered", "routed.one"]),
        "schedule": st.one_of(
            st.builds(crontab, minute=specs, hour=specs, day_of_week=specs),
            st.integers(1, 10**6),
            st.integers(1, 10**9).map(lambda number: timedelta(milliseconds=number)),
            st.builds(schedule, st.integers(1, 100), relative=st.booleans()),
        ),
    },
    optional={
        "args": st.lists(values, max_size=2) | st.just((1, 2)),
        "kwargs": st.dictionaries(st.text(max_size=3), values, max_size=2),
        "options": options | st.none(),
        "relative": st.booleans(),
        "enabled": st.booleans(),
    },
)


def stored(entry_class: type[ModelEntry], entry: Mapping[str, Any]) -> PeriodicTask:
    """Store an entry of the settings; raises Refused."""
    try:
        with transaction.atomic():
            row: PeriodicTask = entry_class.from_entry("entry", app=APP, **entry).model
    except DatabaseError:
        raise
    except Exception as error:
        raise Refused(str(error)) from error
    return row


def sent_for(entry: Mapping[str, Any]) -> Message:
    """Return the message of the stock scheduler; raises Refused.

    It drops the option `expires`, which is as Celery's own scheduler sends it.
    """
    with transaction.atomic():
        message = sent_by_stock(stored(StockEntry, entry))
        transaction.set_rollback(True)
    options = entry.get("options") or {}
    if options.get("expires") is None or "options.expires" in ignored_parts(entry):
        return message
    own = sent_by(
        ScheduleEntry(
            name="entry", task="any", schedule=1, options={"expires": options["expires"]}, app=APP
        )
    )
    return replace(
        message,
        headers={**message.headers, "expires": own.headers["expires"]},
        properties={**message.properties, "expiration": own.properties["expiration"]},
    )


def check_schedule(row: PeriodicTask, given_schedule: Any) -> None:
    """Check that a stored schedule has the slots of the schedule in the settings."""
    ours = outcome_of(our_schedule, row.crontab or row.interval)
    if isinstance(ours, Refused):
        assert_listed(str(ours))
    elif isinstance(ours, Interval):
        every = getattr(given_schedule, "run_every", given_schedule)
        every = every if isinstance(every, timedelta) else timedelta(seconds=every)
        if every > LONGEST_FRACTION:  # a warning says so
            every -= every % ONE_SECOND
        assert ours.every == every
    else:
        values = parse_fields(ours.fields)
        assert set(values.minutes) == given_schedule.minute
        assert set(values.hours) == given_schedule.hour
        assert set(values.weekdays) == given_schedule.day_of_week


@pytest.mark.django_db
@given(entries)
@settings(max_examples=200)
@example({"task": "any", "schedule": crontab(hour=[8, 20])})
@example({"task": "any", "schedule": 60, "options": {"expires": 1}})
def test_entry_of_the_settings_is_sent_as_by_stock_beat_or_refused(entry):
    with time_machine.travel(NOON, tick=False), transaction.atomic():
        theirs = outcome_of(sent_for, entry)
        ours = outcome_of(stored, SettingsEntry, entry)
        if isinstance(ours, Refused):
            assert isinstance(theirs, Refused), f"only the stock scheduler stores it: {ours}"
        else:
            rows = PeriodicTask.objects.select_related("crontab", "interval")
            row = rows.get(pk=ours.pk)
            check_parity(row, theirs)
            check_schedule(row, entry["schedule"])
        transaction.set_rollback(True)
