"""A row without a queue goes where stock beat sends it, whatever form `task_routes` has."""

import json
import re
from typing import Any

import pytest
from celery import Celery
from celery.beat import Scheduler, SchedulingError
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import ModelEntry
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu import Exchange, Queue

from scheduler_api.broker.capture import Message, Unsendable, _CapturingProducer, capture
from scheduler_api.broker.message_templates import MessageTemplates
from scheduler_api.broker.outgoing import Outgoing
from scheduler_api.catalogue.routes import route_of
from scheduler_api.runs.message_options import options_of
from tests.broker.test_messages import parts
from tests.scheduler.examples import make_app

# A class may name a queue, which Celery deprecates and still obeys.
pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning")

NAMES = ["any", "add", "own", "feed.daily", "feed.hourly", "video.encode", "elsewhere"]


def by_arguments(name: str, args: Any, kwargs: Any, options: Any, **_: Any) -> Any:
    """A router that depends on the arguments."""
    return {"queue": "celery.other"} if args == [1] else None


class Feeds:
    """A router of the kind before Celery 4."""

    def route_for_task(self, name: str, *_: Any, **__: Any) -> Any:
        return "celery.topic" if name.startswith("feed.") else None


def failing(*_: Any, **__: Any) -> Any:
    raise KeyError("a bug of the project")


QUEUE_NAMES = st.sampled_from(["celery", "celery.other", "celery.topic", "missing"])
TARGETS = st.one_of(
    QUEUE_NAMES,
    st.fixed_dictionaries(
        {},
        optional={
            "queue": QUEUE_NAMES | st.just(Queue("mine", Exchange("mine"), routing_key="key")),
            "exchange": st.sampled_from(["amq.direct", "feeds"]),
            "routing_key": st.sampled_from(["a.b", "celery.other", ""]),
            "priority": st.integers(0, 9),
            "delivery_mode": st.sampled_from([1, 2]),
            "exchange_type": st.just("topic"),
            "headers": st.just({"x-route": "lost"}),
            "mandatory": st.booleans(),
            "ignore_result": st.booleans(),
            "time_limit": st.just(30),
            "reply_to": st.just("mine"),
        },
    ),
)
PATTERNS = st.sampled_from([*NAMES, "feed.*", "*.encode", "*", "fe*ly", re.compile("feed|video")])
MAPS = st.dictionaries(PATTERNS, TARGETS, min_size=1, max_size=4)
ROUTERS = st.one_of(
    MAPS,
    MAPS.map(lambda routes: [*routes.items()]),
    MAPS.map(lambda routes: tuple(routes.items())),
    st.just(by_arguments),
    st.just(Feeds()),
    st.just(failing),
    st.just("tests.broker.test_routes.by_arguments"),
    st.just("tests.broker.test_routes.Feeds"),
)
ROUTES = st.none() | MAPS | ROUTERS.map(lambda one: [one]) | st.lists(ROUTERS, max_size=3)
CONFIGURATIONS = st.fixed_dictionaries(
    {"task_routes": ROUTES, "task_create_missing_queues": st.booleans()},
    optional={
        "task_queues": st.none(),
        "task_default_queue": st.sampled_from(["celery", "celery.other", "missing"]),
        "task_default_exchange": st.sampled_from(["feeds", ""]),
        "task_default_routing_key": st.just("somewhere"),
        "task_queue_max_priority": st.just(5),
        "task_default_priority": st.just(3),
        "task_default_delivery_mode": st.just("transient"),
    },
)
ROWS = st.fixed_dictionaries(
    {"task": st.sampled_from(NAMES), "args": st.sampled_from(["[1]", "[2]"])},
    optional={
        "queue": st.sampled_from([None, "", "celery.other", "missing"]),
        "exchange": st.sampled_from([None, "", "amq.direct"]),
        "routing_key": st.sampled_from([None, "", "a.b"]),
        "priority": st.sampled_from([0, 7]),
        "headers": st.sampled_from(['{"x-a": "b"}']),
    },
)


def app_with(configuration: dict[str, Any]) -> Celery:
    app = make_app(**configuration)

    @app.task(name="own", shared=False, queue="celery.topic", routing_key="a.own", priority=2)
    def own(x: int) -> None: ...

    return app


def message_of_stock_beat(app: Celery, row: PeriodicTask) -> Message | None:
    """Return the message that stock beat publishes, None if Celery refuses to make one."""
    row.interval = IntervalSchedule(every=1, period="hours")
    with pytest.raises(SchedulingError) as raised:
        Scheduler(app=app, lazy=True).apply_async(
            ModelEntry(row, app=app), producer=_CapturingProducer(app), advance=False
        )
    captured = getattr(raised.value.__context__, "parts", None)
    return captured and Message(task=row.task, **captured)


def run_of(row: PeriodicTask, run_id: str, *, args: str | None = None) -> Outgoing:
    options = options_of(row.queue, row.exchange, row.routing_key, row.priority, row.headers, None)
    return Outgoing(
        id=run_id,
        periodic_task_name=row.name,
        task=row.task,
        args=args or row.args,
        kwargs="{}",
        options=options,
    )


def our_message(app: Celery, row: PeriodicTask, run_id: str) -> Message | None:
    """Return the message that beat publishes: from a template made for another run, if it may."""
    templates = MessageTemplates(app)
    try:
        templates.find(run_of(row, "another", args="[3]"))
        found = templates.find(run_of(row, run_id))
        return found[0].fill(found[1]) if found else capture(app, run_of(row, run_id))
    except Unsendable:
        return None


@settings(max_examples=200)
@given(configuration=CONFIGURATIONS, columns=ROWS)
def test_message_is_routed_as_by_stock_beat(configuration, columns):
    app = app_with(configuration)
    row = PeriodicTask(**{"name": "Example", "headers": "{}", **columns})

    theirs = message_of_stock_beat(app, row)
    ours = our_message(app, row, theirs.headers["id"] if theirs else "refused")

    assert (ours and parts(ours)) == (theirs and parts(theirs))


@settings(max_examples=200)
@given(configuration=CONFIGURATIONS, columns=ROWS)
def test_known_queue_is_the_one_that_gets_the_message(configuration, columns):
    app = app_with(configuration)
    row = PeriodicTask(**{"name": "Example", "headers": "{}", **columns})
    theirs = message_of_stock_beat(app, row)

    route = route_of(row.task, row.queue, row.exchange, row.routing_key, app=app)

    if route.problem:
        assert theirs is None
    elif theirs and route.queue:
        assert [queue.name for queue in theirs.declare] == [route.queue]


@pytest.mark.parametrize(
    ("routes", "queue"),
    [
        ({"feed.*": "celery.other"}, "celery.other"),
        ([[("feed.*", {"queue": "celery.other"})]], "celery.other"),
        ([{"video.*": "celery.topic"}, {"feed.daily": "celery.other"}], "celery.other"),
        ({re.compile("feed"): {"queue": "celery.other"}}, "celery.other"),
        ({"video.*": "celery.other"}, "celery"),
        ([by_arguments], None),
        ({"feed.*": {"queue": "celery.other", "routing_key": "x"}}, None),
    ],
)
def test_queue_of_a_route(routes, queue):
    assert route_of("feed.daily", app=make_app(task_routes=routes)).queue == queue


def test_message_of_a_task_class_is_that_of_stock_beat():
    """A class has no signature that Celery checks before it sends."""
    app = make_app()

    class Sum(app.Task):
        name = "sum"

        def run(self, *numbers: int) -> int:
            return sum(numbers)

    app.register_task(Sum())
    row = PeriodicTask(name="Example", task="sum", args="[1, 2]", headers="{}")
    theirs = message_of_stock_beat(app, row)

    assert theirs is not None
    ours = our_message(app, row, theirs.headers["id"])
    assert ours is not None
    assert parts(ours) == parts(theirs)
    assert json.loads(ours.body)[0] == [1, 2]
