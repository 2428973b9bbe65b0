"""What becomes of runs whose task is slower than its schedule, under each policy."""

from datetime import datetime, timedelta
from itertools import pairwise

from tests.journeys.ledger import (
    RUN_SECONDS,
    Told,
    cancel,
    each_second,
    pairs_beside,
    pause,
    runs_of,
    told_of,
)
from tests.journeys.service import Service, wait_for

SECOND = timedelta(seconds=1)
SLOTS = 7
# Each its own, to tell them apart in the log of the worker.
SLOW = {"allow": 2.41, "skip": 2.42, "buffer_one": 2.43}
ENDLESS = 611


def slow_tasks_overlap_as_their_policies_say(service: Service) -> None:
    ids = {
        overlap: each_second(service, "sleep", kwargs={"seconds": seconds}, overlap=overlap)
        for overlap, seconds in SLOW.items()
    }
    ids["cancel_previous"] = each_second(
        service, "sleep", every=2, kwargs={"seconds": ENDLESS}, overlap="cancel_previous"
    )
    for overlap, task_id in ids.items():
        slots = SLOTS if overlap in SLOW else 3
        wait_for(
            lambda task_id=task_id, slots=slots: len(runs_of(service, task_id)) >= slots,
            seconds=RUN_SECONDS,
            why=service.output,
        )
    wait_for(
        lambda: bool(runs_of(service, ids["cancel_previous"], "running")),
        seconds=RUN_SECONDS,
        why=service.output,
    )
    for task_id in ids.values():
        pause(service, task_id)
    for run in runs_of(service, ids["cancel_previous"], "running,queued,pending"):
        cancel(service, run["id"])

    told = {overlap: told_of(service, task_id) for overlap, task_id in ids.items()}

    runs_ran_beside_each_other(told["allow"])
    runs_were_skipped_while_one_had_not_ended(told["skip"])
    one_run_at_a_time_waited(told["buffer_one"])
    each_run_took_the_place_of_the_one_before(told["cancel_previous"])
    for overlap, seconds in SLOW.items():
        runs = [run for run in told[overlap] if run.state == "succeeded"]
        assert service.output().count(f"Slept for {seconds} s") == len(runs), overlap
    assert f"Slept for {ENDLESS}" not in service.output()
    for overlap, runs in told.items():
        each_slot_has_a_run(runs, SECOND if overlap in SLOW else 2 * SECOND)


def runs_ran_beside_each_other(runs: list[Told]) -> None:
    assert {run.state for run in runs} == {"succeeded"}
    assert pairs_beside(runs)


def runs_were_skipped_while_one_had_not_ended(runs: list[Told]) -> None:
    assert {run.state for run in runs} == {"succeeded", "skipped"}
    assert not pairs_beside(runs)
    blocking: list[Told] = []
    for run in runs:
        if run.state == "succeeded":
            blocking.append(run)
        else:
            assert (run.began_at, run.reason) == (None, "The previous run has not ended.")
            ended_at = blocking[-1].ended_at
            # The ledger hears of an end a moment later.
            assert ended_at
            assert run.entered_at < ended_at + SECOND


def one_run_at_a_time_waited(runs: list[Told]) -> None:
    assert {run.state for run in runs} == {"succeeded", "skipped"}
    ran = [run for run in runs if run.state == "succeeded"]
    assert not pairs_beside(ran)
    waited = [later for one, later in pairwise(ran) if later.slot_at < ended(one)]
    assert waited, "none was held until the one before it ended"
    for run in waited:
        # While it waited, no other did; a slot is taken up a moment after it has come.
        until = run.entered_at - SECOND
        assert not [other for other in ran if run.slot_at < other.slot_at < until], waited


def each_run_took_the_place_of_the_one_before(runs: list[Told]) -> None:
    assert {run.state for run in runs} == {"cancelled"}
    assert not pairs_beside(runs)
    assert {run.reason for run in runs[:-1]} == {"The next run replaced it."}
    for run, following in pairwise(runs):
        assert ended(run) >= following.slot_at, "it was ended by the next slot, not before"


def each_slot_has_a_run(runs: list[Told], length: timedelta) -> None:
    slots = [run.slot_at for run in runs]
    assert slots == [slots[0] + number * length for number in range(len(slots))]


def ended(run: Told) -> datetime:
    assert run.ended_at
    return run.ended_at
