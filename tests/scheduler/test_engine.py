"""The engine from definition to ledger, on the database that the tests run on."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
)

from scheduler_api.broker.outgoing import PublishFailure
from scheduler_api.periodic_tasks.agenda import Agenda
from scheduler_api.periodic_tasks.models import ManagedTask
from scheduler_api.runs.models import Run
from scheduler_api.runs.outbox import Outbox
from tests.api.periodic_tasks.examples import TASKS, heartbeat
from tests.scheduler.engines import HOUR, MINUTE, NOON, SECOND, TestedEngine, slots_sent

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

HOURLY = {"type": "interval", "every": 1, "period": "hours"}


@pytest.fixture
def beat(time_machine: Any) -> TestedEngine:
    time_machine.move_to(NOON, tick=False)
    return TestedEngine()


def every(seconds: int, name: str = "often", **columns: Any) -> PeriodicTask:
    interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period="seconds")
    return PeriodicTask.objects.create(
        name=name, task="project.tasks.heartbeat", interval=interval, **columns
    )


def test_interval_is_sent_at_each_slot_and_never_between(beat):
    task = every(10)

    assert beat.run() == []
    assert beat.run(at=NOON + 9.9 * SECOND) == []
    assert beat.run(at=NOON + 10.2 * SECOND) == [("often", NOON + 10 * SECOND)]
    assert beat.run(at=NOON + 10.2 * SECOND) == []
    assert beat.run(at=NOON + 20 * SECOND) == [("often", NOON + 20 * SECOND)]
    task.refresh_from_db()
    assert (task.total_run_count, task.last_run_at) == (2, NOON + 20 * SECOND)
    assert {*Run.objects.values_list("state", flat=True)} == {"queued"}


def test_interval_does_not_drift(beat):
    every(1)
    beat.run()

    for number in range(1, 1001):
        late = timedelta(milliseconds=number % 700)
        assert slots_sent(beat.run(at=NOON + number * SECOND + late)) == [NOON + number * SECOND]


def test_crontab_and_clocked_slots_are_sent_once(beat):
    crontab = CrontabSchedule.objects.create(minute="30", timezone="Europe/Berlin")
    PeriodicTask.objects.create(name="half past", task="project.tasks.heartbeat", crontab=crontab)
    clocked = ClockedSchedule.objects.create(clocked_time=NOON + 45 * MINUTE)
    moment = PeriodicTask.objects.create(
        name="once", task="project.tasks.heartbeat", clocked=clocked, one_off=True
    )

    assert beat.run(at=NOON) == []
    assert beat.run(at=NOON + 30 * MINUTE) == [("half past", NOON + 30 * MINUTE)]
    assert beat.run(at=NOON + 45 * MINUTE) == [("once", NOON + 45 * MINUTE)]
    assert beat.run(at=NOON + 89 * MINUTE) == []
    assert beat.run(at=NOON + 90 * MINUTE) == [("half past", NOON + 90 * MINUTE)]
    moment.refresh_from_db()
    assert (moment.enabled, moment.total_run_count) == (False, 1)
    assert Agenda.objects.get(pk=moment.pk).slot_at is None


def test_misfire_policy_decides_after_an_outage(beat):
    policies = {"skip": [], "run_once": [60], "run_all": [10, 20, 30, 40, 50, 60]}
    for misfire in policies:
        ManagedTask.objects.create(periodic_task=every(10, name=misfire), misfire=misfire)
    beat.run()

    sent = beat.run(at=NOON + 65 * SECOND + 10 * SECOND - SECOND)

    assert sent[0][1] == NOON + 10 * SECOND
    by_task = {
        name: [(slot_at - NOON) // SECOND for who, slot_at in sent if who == name]
        for name in policies
    }
    # The slot at 12:01:10 is not late.
    assert by_task == {"skip": [70], "run_once": [70], "run_all": [10, 20, 30, 40, 50, 60, 70]}
    [skipped, once] = Run.objects.filter(state="missed").order_by("periodic_task_id")
    assert (skipped.slot_count, skipped.slot_at, skipped.last_slot_at) == (
        6,
        NOON + 10 * SECOND,
        NOON + 60 * SECOND,
    )
    assert once.slot_count == 6
    assert beat.run() == []


def test_month_of_missed_seconds_is_resolved_in_steps(beat):
    task = every(1)
    beat.run()

    sent = beat.run(at=NOON + 100_000 * SECOND)

    assert slots_sent(sent) == [NOON + 100_000 * SECOND]
    missed = Run.objects.filter(state="missed").order_by("slot_at")
    assert sum(run.slot_count for run in missed) == 99_999
    assert Agenda.objects.get(pk=task.pk).missed_count == 99_999
    for before, after in pairwise(missed):
        assert after.slot_at == before.last_slot_at + SECOND


def test_unroutable_run_has_a_reason_and_is_not_republished(beat):
    every(10)
    beat.publisher.failures["often"] = (PublishFailure.UNROUTABLE, "no queue takes it")
    beat.run()

    beat.run(at=NOON + 10 * SECOND)

    run = Run.objects.get()
    assert (run.state, run.reason) == ("unroutable", "no queue takes it")
    beat.run(at=NOON + 19 * SECOND)
    assert len(beat.publisher.sent) == 1


def test_unconfirmed_run_is_republished_under_its_id(beat):
    every(3600)
    beat.publisher.failures["often"] = (PublishFailure.UNANSWERED, "connection lost")
    beat.run()
    beat.run(at=NOON + HOUR)
    assert Run.objects.get().state == "pending"
    beat.publisher.failures.clear()

    beat.run(at=NOON + HOUR + 2 * SECOND)

    assert Run.objects.get().state == "queued"
    assert len(beat.publisher.sent) == 2
    assert len({run.id for run in beat.publisher.sent}) == 1


def test_batch_left_by_a_crash_is_republished_after_15_seconds(beat):
    every(3600)
    beat.publisher.is_silent = True
    beat.run()
    beat.run(at=NOON + HOUR)

    other = TestedEngine()
    other.run(at=NOON + HOUR + 14 * SECOND)
    assert other.publisher.sent == []
    other.run(at=NOON + HOUR + 16 * SECOND)

    assert [run.id for run in other.publisher.sent] == [run.id for run in beat.publisher.sent]
    assert Run.objects.get().state == "queued"


def test_run_expired_during_a_broker_outage_is_not_sent(beat):
    every(3600, expire_seconds=60)
    beat.publisher.failures["often"] = (PublishFailure.UNANSWERED, "connection lost")
    beat.run()
    beat.run(at=NOON + HOUR)
    assert len(beat.publisher.sent) == 1

    beat.publisher.is_ready = False
    beat.run(at=NOON + HOUR + 30 * SECOND)
    beat.publisher.is_ready = True
    beat.run(at=NOON + HOUR + 61 * SECOND)

    assert len(beat.publisher.sent) == 1
    assert Run.objects.get().state == "expired"
    assert not Outbox.objects.exists()


def test_broker_outage_stops_claims_and_loses_no_slot(beat):
    every(10)
    beat.run()
    beat.publisher.is_ready = False
    assert beat.run(at=NOON + 10 * SECOND) == []
    assert not Run.objects.exists()

    beat.publisher.is_ready = True

    assert slots_sent(beat.run(at=NOON + 15 * SECOND)) == [NOON + 10 * SECOND]


def test_clock_set_back_stops_no_task_and_sends_no_slot_twice(beat):
    every(60)
    beat.run()
    beat.run(at=NOON + MINUTE)
    beat.run(at=NOON + 2 * MINUTE)
    assert len(beat.publisher.sent) == 2

    assert beat.run(at=NOON) == []
    assert beat.run(at=NOON + MINUTE) == []
    assert beat.run(at=NOON + 2 * MINUTE) == []
    assert slots_sent(beat.run(at=NOON + 3 * MINUTE)) == [NOON + 3 * MINUTE]
    assert len(beat.publisher.sent) == 3


def test_clock_ahead_for_a_day_loses_no_slot_of_that_day(beat):
    task = every(3600)
    beat.run()
    assert slots_sent(beat.run(at=NOON + 24 * HOUR)) == [NOON + 24 * HOUR]
    assert Agenda.objects.get(pk=task.pk).missed_count == 23

    for hours in range(1, 24):
        assert slots_sent(beat.run(at=NOON + hours * HOUR)) == [NOON + hours * HOUR]

    assert beat.run(at=NOON + 24 * HOUR) == []
    assert Agenda.objects.get(pk=task.pk).missed_count == 0
    assert Run.objects.count() == 24
    # No worker reports on them.
    assert {*Run.objects.values_list("state", flat=True)} == {"queued", "lost"}


def test_bad_row_is_quarantined_with_a_reason_and_delays_no_other(beat):
    bad, _ = every(10, name="bad"), every(10, name="good")
    PeriodicTask.objects.filter(pk=bad.pk).update(headers="[]")
    beat.run()

    assert beat.run(at=NOON + 10 * SECOND) == [("good", NOON + 10 * SECOND)]

    agenda_entry = Agenda.objects.get(pk=bad.pk)
    assert agenda_entry.failures == 1
    assert "headers" in agenda_entry.last_error
    PeriodicTask.objects.filter(pk=bad.pk).update(headers="{}")
    assert ("bad", NOON + 10 * SECOND) in beat.run(at=NOON + 15 * SECOND)
    assert Agenda.objects.get(pk=bad.pk).last_error == ""


def test_invalid_schedule_is_quarantined_until_it_is_corrected(beat):
    crontab = CrontabSchedule.objects.create(minute="0")
    task = PeriodicTask.objects.create(name="bad", task="project.tasks.heartbeat", crontab=crontab)
    CrontabSchedule.objects.filter(pk=crontab.pk).update(minute="*/")
    beat.run()
    assert Agenda.objects.get(pk=task.pk).last_error

    CrontabSchedule.objects.filter(pk=crontab.pk).update(minute="30")
    beat.run()

    agenda_entry = Agenda.objects.get(pk=task.pk)
    assert (agenda_entry.last_error, agenda_entry.slot_at) == ("", NOON + 30 * MINUTE)


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        ("allow", ["queued", "queued", "queued"]),
        ("skip", ["queued", "skipped", "skipped"]),
        ("buffer_one", ["queued", "pending", "skipped"]),
        ("cancel_previous", ["cancelled", "cancelled", "queued"]),
    ],
)
def test_overlapping_runs_follow_the_overlap_policy(beat, overlap, states):
    ManagedTask.objects.create(periodic_task=every(60), overlap=overlap)
    beat.run()

    for number in (1, 2, 3):
        beat.run(at=NOON + number * MINUTE)

    assert [run.state for run in Run.objects.order_by("slot_at")] == states
    assert len(beat.revoked) == states.count("cancelled")


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        ("allow", ["queued", "queued", "queued"]),
        ("skip", ["queued", "skipped", "skipped"]),
        ("buffer_one", ["queued", "pending", "skipped"]),
        ("cancel_previous", ["cancelled", "cancelled", "queued"]),
    ],
)
def test_catchup_runs_follow_the_overlap_policy(beat, overlap, states):
    ManagedTask.objects.create(periodic_task=every(60), overlap=overlap, misfire="run_all")
    beat.run()

    beat.run(at=NOON + 3 * MINUTE)

    assert [run.state for run in Run.objects.order_by("slot_at")] == states
    assert beat.revoked == []  # none of them had been sent


def test_buffered_run_is_sent_when_the_earlier_run_has_ended(beat):
    ManagedTask.objects.create(periodic_task=every(60), overlap="buffer_one")
    beat.run()
    beat.run(at=NOON + MINUTE)
    beat.run(at=NOON + 2 * MINUTE)
    assert len(beat.publisher.sent) == 1

    Run.objects.filter(slot_at=NOON + MINUTE).update(state="succeeded")
    beat.run(at=NOON + 2 * MINUTE + SECOND)
    beat.run()

    assert [run.state for run in Run.objects.order_by("slot_at")] == ["succeeded", "queued"]
    assert len(beat.publisher.sent) == 2


def test_jitter_is_the_same_for_the_same_slot(beat):
    ManagedTask.objects.create(periodic_task=every(3600), jitter_seconds=600)
    beat.run()
    agenda_entry = Agenda.objects.get()
    assert agenda_entry.slot_at == NOON + HOUR
    assert NOON + HOUR < agenda_entry.due_at < NOON + HOUR + 10 * MINUTE

    assert beat.run(at=agenda_entry.due_at - SECOND) == []
    assert slots_sent(beat.run(at=agenda_entry.due_at)) == [NOON + HOUR]

    run = Run.objects.get()
    assert (run.slot_at, run.due_at) == (NOON + HOUR, agenda_entry.due_at)


# --- Pauses -----------------------------------------------------------------------------------


@pytest.fixture
def hourly(beat, api) -> str:
    """Return the URL of a planned hourly periodic task."""
    pk = api.post(TASKS, heartbeat(schedule=HOURLY)).json()["id"]
    beat.run()
    return f"{TASKS}{pk}/"


def test_resumed_task_counts_from_then_and_catches_up_on_nothing(
    api, beat, hourly, time_machine, monkeypatch
):
    api.post(f"{hourly}pause/")
    assert beat.run(at=NOON + 5.5 * HOUR) == []
    time_machine.move_to(NOON + 5.5 * HOUR, tick=False)
    api.post(f"{hourly}resume/")

    assert beat.run() == []
    assert beat.run(at=NOON + 6 * HOUR) == []
    assert slots_sent(beat.run(at=NOON + 6.5 * HOUR)) == [NOON + 6.5 * HOUR]
    assert not Run.objects.filter(state="missed").exists()


def test_pause_with_an_end_ends_by_itself(api, beat, hourly):
    api.post(f"{hourly}pause/", {"until": "2027-06-01T15:30:00Z"})

    assert beat.run(at=NOON + 3 * HOUR) == []
    assert api.get(hourly).json()["paused"] is True
    assert beat.run(at=NOON + 3.6 * HOUR) == []

    body = api.get(hourly).json()
    assert (body["paused"], body["next_run_at"]) == (False, "2027-06-01T16:30:00Z")
    assert slots_sent(beat.run(at=NOON + 4.5 * HOUR)) == [NOON + 4.5 * HOUR]


def test_clocked_time_within_a_pause_is_over_and_a_later_one_is_not(api, beat, time_machine):
    pks = {
        hours: api.post(
            TASKS,
            heartbeat(
                name=f"in {hours} h",
                schedule={"type": "clocked", "clocked_time": f"2027-06-01T1{2 + hours}:00:00Z"},
            ),
        ).json()["id"]
        for hours in (1, 4)
    }
    beat.run()
    for pk in pks.values():
        api.post(f"{TASKS}{pk}/pause/")
    time_machine.move_to(NOON + 2 * HOUR, tick=False)
    for pk in pks.values():
        api.post(f"{TASKS}{pk}/resume/")

    assert beat.run(at=NOON + 3 * HOUR) == []
    assert beat.run(at=NOON + 4 * HOUR) == [("in 4 h", NOON + 4 * HOUR)]
