"""The registration of a worker and its tasks in the catalogue."""

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError

from scheduler_api.catalogue.models import TaskList, TaskSpec, Worker, with_is_alive
from scheduler_api.catalogue.task_lookup import WORKER_RETENTION, delete_stale_workers, known_tasks
from scheduler_api.worker import fork_lock as fork_lock_module
from scheduler_api.worker import registration
from scheduler_api.worker.registration import Announcement, Announcer
from tests.api.periodic_tasks.examples import stored
from tests.catalogue.workers import (
    BOOKS,
    PAST_ALIVE_TIMEOUT,
    REPORT,
    close_books,
    kill,
    send_report,
    set_last_seen,
    start_worker,
    task_of,
)

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def living() -> list[str]:
    alive = with_is_alive(Worker.objects.order_by("name"))
    return [each.name for each in alive if each.is_alive]


def announcement(**parts) -> Announcement:
    values = {
        "name": "celery@one",
        "queues": lambda: ["celery"],
        "version": "1.2",
        "pid": 4711,
        "concurrency": 2,
        "tasks": lambda: [task_of(send_report)],
    }
    return Announcement(**{**values, **parts})


def test_announce_stores_the_worker_and_its_tasks():
    one = start_worker(send_report, close_books, queues=("celery", "slow"))

    assert (one.name, one.queues, one.version) == ("celery@one", ["celery", "slow"], "1.2")
    assert (one.pid, one.concurrency, one.stopped_at) == (4711, 2, None)
    assert one.started_at == one.last_seen_at
    assert [spec.name for spec in one.task_list.specs.order_by("name")] == [BOOKS, REPORT]
    assert TaskSpec.objects.get(name=REPORT).doc == "Send the report of a month."
    assert living() == ["celery@one"]


def test_announce_shares_one_list_among_workers_with_the_same_tasks(django_assert_max_num_queries):
    start_worker(send_report, close_books)

    with django_assert_max_num_queries(12):  # with savepoints, however many tasks it has
        start_worker(send_report, close_books, name="celery@two")

    assert TaskList.objects.count() == 1
    assert TaskList.specs.through.objects.count() == 2
    assert living() == ["celery@one", "celery@two"]


def test_announce_replaces_a_task_that_differs():
    start_worker(send_report, version="1")

    def send_report_of_a_quarter(quarter: int) -> None: ...

    registration.announce(
        announcement(
            name="celery@two",
            version="2",
            tasks=lambda: [task_of(send_report_of_a_quarter, REPORT)],
        )
    )

    [task] = [known for known in known_tasks() if known.task.name == REPORT]
    assert list(task.task.signature.named) == ["quarter"]
    assert task.availability.worker_count == 2
    assert TaskList.objects.count() == 1


def test_announce_dates_removed_tasks_by_the_worker_before():
    one = start_worker(send_report, close_books)
    set_last_seen(one, ago=timedelta(hours=1))
    last = Worker.objects.get().last_seen_at
    TaskSpec.objects.update(last_seen_at=last - timedelta(days=1))

    start_worker(send_report)

    availability = {known.task.name: known.availability for known in known_tasks()}
    assert (availability[BOOKS].worker_count, availability[BOOKS].last_seen_at) == (0, last)
    assert availability[REPORT].worker_count == 1
    assert availability[REPORT].last_seen_at > last


def test_announce_skips_long_names_and_null_characters():
    def odd() -> None:
        """With a \0 in it."""

    tasks = [task_of(odd), task_of(odd, "x" * 201)]
    registration.announce(announcement(tasks=lambda: tasks))

    assert [spec.doc for spec in TaskSpec.objects.all()] == ["With a  in it."]


# --- The thread -------------------------------------------------------------------------------


@pytest.fixture
def beat(monkeypatch):
    """Send one heartbeat, in the test's thread and on its connection."""
    monkeypatch.setattr(registration.connection, "close", lambda: None)
    return lambda announcer: announcer._try(announcer._send_heartbeat)


def test_heartbeat_updates_last_seen_and_queues(beat):
    queues = ["celery"]
    announcer = Announcer(announcement(queues=lambda: queues))
    beat(announcer)
    kill(Worker.objects.get())
    queues.append("slow")

    beat(announcer)

    assert living() == ["celery@one"]
    assert Worker.objects.get().queues == ["celery", "slow"]


def test_stopped_worker_is_not_alive(beat):
    announcer = Announcer(announcement())
    beat(announcer)

    announcer._try(announcer._record_stop)

    assert Worker.objects.get().stopped_at is not None
    assert living() == []


def test_deleted_worker_registers_again(beat):
    announcer = Announcer(announcement())
    beat(announcer)
    Worker.objects.all().delete()

    beat(announcer)

    assert living() == ["celery@one"]


def test_late_stop_does_not_change_the_successor(beat):
    old, new = Announcer(announcement(pid=1)), Announcer(announcement(pid=2))
    beat(old)
    beat(new)

    beat(old)
    old._try(old._record_stop)

    assert (Worker.objects.get().pid, living()) == (2, ["celery@one"])


def test_announcer_without_the_database_warns_once_and_goes_on(beat, monkeypatch, caplog):
    def away(*_):
        raise OperationalError("the server\nis away")

    announcer = Announcer(announcement())
    with monkeypatch.context() as patch:
        patch.setattr(registration, "announce", away)
        beat(announcer)
        beat(announcer)
    beat(announcer)

    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert warnings == ["This worker is registered in the catalogue later: the server is away"]
    assert living() == ["celery@one"]


def test_fork_waits_for_the_lock_up_to_a_timeout(monkeypatch):
    monkeypatch.setattr(fork_lock_module, "FORK_TIMEOUT_SECONDS", 0.05)
    fork_lock = fork_lock_module.ForkLock()

    with fork_lock:
        fork_lock._before()
        fork_lock._after()
    fork_lock._before()
    assert not fork_lock._lock.acquire(blocking=False)
    fork_lock._after()
    assert fork_lock._lock.acquire(blocking=False)
    fork_lock._renew()
    with fork_lock:  # free in the child
        pass


def test_stop_ends_the_announcer_thread(monkeypatch):
    beaten = threading.Event()
    announcer = Announcer(announcement())
    monkeypatch.setattr(announcer, "_send_heartbeat", beaten.set)
    monkeypatch.setattr(announcer, "_record_stop", lambda: None)
    announcer.start()
    assert beaten.wait(10)

    announcer.stop()

    assert not announcer.is_alive()


# --- What is forgotten ------------------------------------------------------------------------


def test_stale_worker_is_deleted_with_tasks_of_its_own():
    start_worker(send_report, name="celery@now")
    old = start_worker(send_report, close_books, name="celery@then")
    set_last_seen(old, ago=WORKER_RETENTION + PAST_ALIVE_TIMEOUT)
    past = Worker.objects.get(name="celery@then").last_seen_at
    TaskSpec.objects.update(last_seen_at=past)

    assert delete_stale_workers() == 1

    assert [each.name for each in Worker.objects.all()] == ["celery@now"]
    assert [spec.name for spec in TaskSpec.objects.all()] == [REPORT]
    assert TaskList.objects.count() == 1


def test_task_of_a_periodic_task_is_not_deleted():
    stored(task=BOOKS)
    old = start_worker(send_report, close_books)
    set_last_seen(old, ago=WORKER_RETENTION + PAST_ALIVE_TIMEOUT)
    TaskSpec.objects.update(last_seen_at=Worker.objects.get().last_seen_at)

    delete_stale_workers()

    assert [spec.name for spec in TaskSpec.objects.all()] == [BOOKS]


def test_worker_seen_lately_is_not_deleted():
    set_last_seen(start_worker(send_report), ago=WORKER_RETENTION - PAST_ALIVE_TIMEOUT)

    assert delete_stale_workers() == 0
    assert Worker.objects.count() == 1
