"""The story of tasks that are slower than their schedule, under each overlap policy."""

from datetime import datetime, timedelta
from itertools import pairwise

from tests.journeys.ledger import (
    RUN_SECONDS,
    EndedRun,
    cancel,
    each_second,
    ended_runs_of,
    overlapping_pairs,
    pause,
    runs_of,
)
from tests.journeys.service import Service, wait_for

SECOND = timedelta(seconds=1)
SLOTS = 7
# Different durations, which identify the runs in the log of the worker.
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

    ended_runs = {overlap: ended_runs_of(service, task_id) for overlap, task_id in ids.items()}

    runs_ran_beside_each_other(ended_runs["allow"])
    runs_were_skipped_while_one_had_not_ended(ended_runs["skip"])
    one_run_at_a_time_waited(ended_runs["buffer_one"])
    each_run_took_the_place_of_the_one_before(ended_runs["cancel_previous"])
    for overlap, seconds in SLOW.items():
        runs = [run for run in ended_runs[overlap] if run.state == "succeeded"]
        assert service.output().count(f"Slept for {seconds} s") == len(runs), overlap
    assert f"Slept for {ENDLESS}" not in service.output()
    for overlap, runs in ended_runs.items():
        each_slot_has_a_run(runs, SECOND if overlap in SLOW else 2 * SECOND)


def runs_ran_beside_each_other(runs: list[EndedRun]) -> None:
    assert {run.state for run in runs} == {"succeeded"}
    assert overlapping_pairs(runs)


def runs_were_skipped_while_one_had_not_ended(runs: list[EndedRun]) -> None:
    assert {run.state for run in runs} == {"succeeded", "skipped"}
    assert not overlapping_pairs(runs)
    blocking: list[EndedRun] = []
    for run in runs:
        if run.state == "succeeded":
            blocking.append(run)
        else:
            assert (run.began_at, run.reason) == (None, "The previous run has not ended.")
            ended_at = blocking[-1].ended_at
            # The ledger records an end a moment later.
            assert ended_at
            assert run.entered_at < ended_at + SECOND


def one_run_at_a_time_waited(runs: list[EndedRun]) -> None:
    assert {run.state for run in runs} == {"succeeded", "skipped"}
    ran = [run for run in runs if run.state == "succeeded"]
    assert not overlapping_pairs(ran)
    waited = [later for one, later in pairwise(ran) if later.slot_at < ended(one)]
    assert waited, "no run was buffered until the one before it ended"
    for run in waited:
        # No other run waited at the same time; beat claims a slot a moment after it is due.
        until = run.entered_at - SECOND
        assert not [other for other in ran if run.slot_at < other.slot_at < until], waited


def each_run_took_the_place_of_the_one_before(runs: list[EndedRun]) -> None:
    assert {run.state for run in runs} == {"cancelled"}
    assert not overlapping_pairs(runs)
    assert {run.reason for run in runs[:-1]} == {"The next run replaced it."}
    for run, following in pairwise(runs):
        assert ended(run) >= following.slot_at, "the next slot ended it, and not before"


def each_slot_has_a_run(runs: list[EndedRun], length: timedelta) -> None:
    slots = [run.slot_at for run in runs]
    assert slots == [slots[0] + number * length for number in range(len(slots))]


def ended(run: EndedRun) -> datetime:
    assert run.ended_at
    return run.ended_at
