"""Messages from templates, compared with Celery's own; rows that must not be sent."""

import json
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import pytest
import time_machine
from celery import Celery, Task, signals
from celery.beat import Scheduler, SchedulingError
from celery.utils.saferepr import saferepr
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import ModelEntry
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu import Producer

from scheduler_api.broker.argument_reprs import short_repr
from scheduler_api.broker.capture import Message, Unsendable, _CapturingProducer, capture
from scheduler_api.broker.message_templates import MessageTemplates
from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.runs.message_options import options_of
from tests.scheduler.examples import make_app, name_of, outgoing

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
AN_HOUR_LATER = (NOON + timedelta(hours=1)).isoformat()

APP = make_app(
    task_routes={
        "routed.*": {"queue": "celery.topic", "routing_key": "a.b"},
        "far": "celery.other",
    }
)
ALL_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def from_template(
    app: Celery, run: Outgoing, templates: MessageTemplates | None = None
) -> Message | None:
    """Return the message of a run, from a template that was made for another run."""
    templates = templates or MessageTemplates(app)
    if templates.has_listeners():
        return None
    options = json.loads(run.options)
    templates.find(outgoing(run.task, 1, 2, options={**options, "headers": {"x-first": "one"}}))
    found = templates.find(run)
    return found and found[0].fill(found[1])


def parts(message: Message) -> dict[str, Any]:
    """Return the parts that a broker receives, with the order of the headers."""
    return {
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "body": message.body,
        "content": (message.content_type, message.content_encoding),
        "priority": message.priority,
        "headers": [*message.headers.items()],
        "properties": dict(message.properties),
        "declare": [queue.name for queue in message.declare],
    }


@pytest.mark.parametrize(
    "run",
    [
        outgoing("add", 1, 2),
        outgoing("add", "ü ' \" \\ \n \ud800 \x00", {"a": [1.5, None, True, {"b": []}]}),
        outgoing("add", [[[[["deep"]]]]], {"a": {"b": {"c": {"d": 1}}}}),
        outgoing("add", "long " * 1000, ["x"] * 2000),
        outgoing("any", args="[ 1,\n2 ]", kwargs=' { "y" : 1e400 } '),
        outgoing("add", 10**30, kwargs='{"y": 1e-7}', args="[1]"),
        outgoing("add", 1, periodic_task_name="Näme ☃ " * 20),
        outgoing("any", kwargs='{"password": "hunter2", "deep": {"api_key": {"a": 1}}}'),
        outgoing("any", [{"token": "hunter2"}]),
        outgoing("any", args="", kwargs=""),
        outgoing("limited", 1),
        outgoing("unregistered"),
        outgoing("routed.one", 1),
        outgoing("far", 1, options={"priority": 9}),
        outgoing("add", 1, options={"queue": "celery.other", "priority": 0}),
        outgoing("add", 1, options={"queue": "celery.topic"}),
        outgoing("add", 1, options={"exchange": "mine", "routing_key": "key"}),
        outgoing("add", 1, options={"exchange": "mine"}),
        outgoing("add", 1, options={"headers": {"x-tenant": "ü", "X-Other": ""}}),
        outgoing("add", 1, options={"headers": {"x-expires": '"expires"'}}),
        outgoing("add", 1, options={"headers": {"tenant": 1, "tags": [True, None, {"a": 0.5}]}}),
        outgoing("add", 1, options={"expires": AN_HOUR_LATER}),
        outgoing("add", 1, options={"expires": "2027-06-01T13:00:00.250000+02:00", "priority": 1}),
        outgoing("limited", options={"expires": AN_HOUR_LATER, "headers": {"x-a": "b"}}),
    ],
    ids=name_of,
)
def test_template_message_equals_that_of_celery(run):
    with time_machine.travel(NOON, tick=False):
        ours, theirs = from_template(APP, run), capture(APP, run)

    assert ours is not None
    assert parts(ours) == parts(theirs)


@settings(max_examples=200)
@given(st.lists(ALL_JSON), st.dictionaries(st.text(), ALL_JSON), st.text(max_size=200))
def test_template_message_of_any_json_equals_that_of_celery(args, kwargs, name):
    run = outgoing("any", *args, kwargs=json.dumps(kwargs), periodic_task_name=name)

    ours = from_template(APP, run, TEMPLATES)

    assert ours is not None
    assert parts(ours) == parts(capture(APP, run))


TEMPLATES = MessageTemplates(APP)


# --- As stock beat --------------------------------------------------------------------------


def captured_from_stock_beat(row: PeriodicTask) -> Message:
    """Return the message that celery.beat.Scheduler.apply_async publishes for a ModelEntry."""
    row.interval = IntervalSchedule(every=1, period="hours")
    scheduler = Scheduler(app=APP, lazy=True)
    with pytest.raises(SchedulingError) as raised:
        scheduler.apply_async(
            ModelEntry(row, app=APP), producer=_CapturingProducer(APP), advance=False
        )
    return Message(task=row.task, **raised.value.__context__.parts)


@pytest.mark.parametrize(
    "columns",
    [
        {"args": '[1, "ü"]', "kwargs": '{"y": null}'},
        {"args": "", "kwargs": "", "headers": ""},
        {"task": "unregistered"},
        {"queue": "celery.other", "priority": 7, "headers": '{"x-a": "b"}'},
        {"exchange": "mine", "routing_key": "key"},
        {"queue": "", "exchange": "", "routing_key": ""},
        {"expire_seconds": 90},
        {"expires": NOON + timedelta(days=1)},
    ],
    ids=str,
)
def test_captured_message_equals_that_of_stock_beat(columns):
    row = PeriodicTask(**{"name": "Example", "task": "any", **columns})
    expires = row.expires
    if row.expire_seconds:
        expires = NOON + timedelta(seconds=row.expire_seconds)
    options = options_of(
        row.queue, row.exchange, row.routing_key, row.priority, row.headers, expires
    )
    with time_machine.travel(NOON, tick=False):
        theirs = captured_from_stock_beat(row)
        run = Outgoing(
            id=theirs.headers["id"],
            periodic_task_name=row.name,
            task=row.task,
            args=row.args,
            kwargs=row.kwargs,
            options=options,
        )
        ours = capture(APP, run)

    assert parts(ours) == parts(theirs)


# --- What only Celery can write ---------------------------------------------------------------


class Loud(Task):
    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        return super().apply_async(*args, shadow="loud", **kwargs)


class Shadowed(Task):
    def shadow_name(self, args: Any, kwargs: Any, options: Any) -> str:
        return f"for {args}"


def callable_route(name: str, args: Any, *_: Any, **__: Any) -> dict[str, str]:
    return {"queue": "celery.other" if args == [1] else "celery"}


def compressed(app: Celery) -> None:
    app.conf.task_compression = "gzip"


def special(**options: Any) -> Any:
    """Return a function that gives an app a task with these options."""

    def run(*args: Any, **kwargs: Any) -> None: ...

    return lambda app: app.task(name="special", shared=False, typing=False, **options)(run)


@pytest.mark.parametrize(
    "change",
    [
        compressed,
        special(base=Loud),
        special(base=Shadowed),
        special(expires=60),
        special(serializer="yaml"),
        special(compression="zlib"),
        special(pydantic=True),
        lambda app: app.conf.update(task_routes=[callable_route]),
        lambda app: app.conf.update(task_protocol=1),
        lambda app: app.conf.update(task_send_sent_event=True),
    ],
)
def test_task_whose_messages_may_differ_has_no_template(change):
    app = make_app()
    change(app)
    name = "special" if "special" in app.tasks else "any"

    assert from_template(app, outgoing(name, 1)) is None


def test_plain_task_has_a_template():
    app = make_app()
    special()(app)

    assert from_template(app, outgoing("special", 1)) is not None


@pytest.mark.parametrize(
    "signal", [signals.before_task_publish, signals.after_task_publish], ids=lambda s: s.name
)
def test_publish_listener_prevents_templates(signal):
    def listen(**_: object) -> None: ...

    signal.connect(listen)
    try:
        assert from_template(APP, outgoing("any", 1)) is None
    finally:
        signal.disconnect(listen)
    assert from_template(APP, outgoing("any", 1)) is not None


@pytest.mark.parametrize(("kind", "name"), [(Task, "apply_async"), (Producer, "publish")])
def test_replaced_celery_function_prevents_templates(kind, name, monkeypatch):
    theirs = getattr(kind, name)

    @wraps(theirs)
    def traced(*args: Any, **kwargs: Any) -> Any:
        return theirs(*args, **kwargs)

    monkeypatch.setattr(kind, name, traced)

    assert from_template(APP, outgoing("any", 1)) is None


def test_capture_keeps_changes_of_listeners_and_sends_no_later_signal():
    received: list[object] = []

    def change(headers: dict[str, Any], **_: object) -> None:
        headers["x-traced"] = "yes"

    def listen(**_: object) -> None:
        received.append(1)

    signals.before_task_publish.connect(change)
    signals.after_task_publish.connect(listen)
    try:
        message = capture(APP, outgoing("any", 1))
    finally:
        signals.before_task_publish.disconnect(change)
        signals.after_task_publish.disconnect(listen)

    assert message.headers["x-traced"] == "yes"
    assert received == []


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (outgoing("add"), "missing 1 required positional argument: 'x'"),
        (outgoing("add", 1, kwargs='{"z": 1}'), "unexpected keyword argument 'z'"),
        (outgoing("add", args="[", kwargs="{}"), "JSONDecodeError"),
        (outgoing("add", args='{"a": 1}'), "must be a list"),
        (outgoing("add", 1, options={"queue": "nobody"}), "nobody"),
        (outgoing("any", 1, options={"expires": "tomorrow"}), "expires"),
        (outgoing("any", {"__type__": "none", "__value__": "hunter2"}), "ValueError"),
    ],
)
def test_unsendable_run_has_a_reason_without_argument_values(run, reason):
    templates = MessageTemplates(APP)
    templates.find(outgoing("add", 1))

    with pytest.raises(Unsendable, match=reason) as raised:
        templates.find(run) or capture(APP, run)

    assert "hunter2" not in str(raised.value)


def test_task_always_eager_is_refused():
    app = make_app(task_always_eager=True)

    with pytest.raises(Unsendable, match="ALWAYS_EAGER"):
        capture(app, outgoing("add", 1))


# --- Reprs ------------------------------------------------------------------------------------


@settings(max_examples=500)
@given(ALL_JSON, st.integers(1, 60), st.integers(0, 4))
def test_short_repr_equals_that_of_celery(value, max_length, max_levels):
    ours = short_repr(value, max_length=max_length, max_levels=max_levels)

    assert ours == saferepr(value, max_length, max_levels)
