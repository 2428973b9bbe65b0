"""Requests to a running service, and reads of its ledger."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.journeys.service import Service, wait_for

TASKS = "/api/v1/periodic-tasks/"
RUN_SECONDS = 90  # on a machine that has much else to do
# Of each worker: enough for all runs that overlap.
CONCURRENCY = 6
ACTIVE = {"pending", "queued", "running"}
# The reason of a slot that was due when its periodic task was paused.
TOO_LATE = "The periodic task was disabled before its slot was sent."


def once(service: Service, task: str, **columns: Any) -> int:
    """Store a periodic task that runs once, in 3 seconds; return its id."""
    moment = datetime.now(UTC) + timedelta(seconds=3)  # the API accepts only a future time
    return define(
        service, task, {"type": "clocked", "clocked_time": moment.isoformat()}, **columns
    )


def hourly(service: Service, task: str, **columns: Any) -> int:
    """Store a periodic task that is due each hour; return its id."""
    return define(service, task, {"type": "interval", "every": 1, "period": "hours"}, **columns)


def each_second(service: Service, task: str, *, every: int = 1, **columns: Any) -> int:
    """Store a periodic task that is due each second, or every `every` seconds; return its id."""
    schedule = {"type": "interval", "every": every, "period": "seconds"}
    return define(service, task, schedule, **columns)


def define(service: Service, task: str, schedule: dict[str, object], **columns: Any) -> int:
    """Store a periodic task; return its id."""
    definition = {
        "name": f"{task} {uuid4()}",
        "task": task if "." in task else f"project.tasks.{task}",
        "schedule": schedule,
        **columns,
    }
    status, answer = service.call("POST", TASKS, definition)
    assert status == 201, answer
    return int(answer["id"])


def pause(service: Service, task_id: int) -> None:
    """Pause a periodic task."""
    assert service.call("POST", f"{TASKS}{task_id}/pause/")[0] == 200


def run_now(service: Service, task_id: int, **body: Any) -> str:
    """Run a periodic task now; return the id of the run."""
    status, answer = service.call("POST", f"{TASKS}{task_id}/runs/", body or None)
    assert status == 202, answer
    return str(answer["id"])


def cancel(service: Service, run_id: str) -> None:
    """Cancel a run, unless it has ended."""
    assert service.call("POST", f"/api/v1/runs/{run_id}/cancel/")[0] in {200, 409}


def await_run(service: Service, run_id: str, state: str) -> dict[str, Any]:
    """Return a run as soon as it is in a state."""
    found: dict[str, Any] = {}

    def is_in_state() -> bool:
        found.update(service.call("GET", f"/api/v1/runs/{run_id}/")[1])
        return bool(found["state"] == state)

    wait_for(is_in_state, seconds=RUN_SECONDS, why=lambda: f"{service.output()}\n{found}")
    return found


def runs_of(service: Service, task_id: int, state: str = "") -> list[Any]:
    """Return the runs of a periodic task, the newest first, optionally those in one state."""
    path = f"{TASKS}{task_id}/runs/?page_size=500" + (f"&state={state}" if state else "")
    return list(service.call("GET", path)[1]["results"])


def await_state(service: Service, task_id: int, state: str) -> dict[str, Any]:
    """Return the only run of a periodic task as soon as it is in a state."""
    wait_for(lambda: bool(runs_of(service, task_id)), seconds=RUN_SECONDS, why=service.output)
    [run] = runs_of(service, task_id)
    return await_run(service, run["id"], state)


# --- Several runs of one periodic task --------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class EndedRun:
    """A run in a final state, as in the ledger; `began_at` is None if it never ran."""

    state: str
    reason: str
    slot_at: datetime
    entered_at: datetime
    began_at: datetime | None
    ended_at: datetime | None

    def ran_beside(self, other: "EndedRun") -> bool:
        """Return whether both ran at the same time."""
        if not (self.began_at and self.ended_at and other.began_at and other.ended_at):
            return False
        return self.began_at < other.ended_at and other.began_at < self.ended_at


def ended_runs_of(service: Service, task_id: int) -> list[EndedRun]:
    """Return the runs of a paused periodic task, sorted by slot, once all have ended."""

    def have_ended() -> bool:
        return not [run for run in runs_of(service, task_id) if run["state"] in ACTIVE]

    wait_for(
        have_ended,
        seconds=RUN_SECONDS,
        why=lambda: f"{service.output()}\n{runs_of(service, task_id)}",
    )
    ended = [
        EndedRun(
            state=run["state"],
            reason=run["reason"],
            slot_at=datetime.fromisoformat(run["slot_at"]),
            entered_at=datetime.fromisoformat(run["created_at"]),
            began_at=moment(run["started_at"]),
            ended_at=moment(run["finished_at"]),
        )
        for run in runs_of(service, task_id)
        if run["reason"] != TOO_LATE
    ]
    return sorted(ended, key=lambda run: run.slot_at)


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def overlapping_pairs(runs: Iterable[EndedRun]) -> list[tuple[EndedRun, EndedRun]]:
    """Return the pairs of runs that ran at the same time."""
    all_of_them = list(runs)
    return [
        (one, other)
        for number, one in enumerate(all_of_them)
        for other in all_of_them[number + 1 :]
        if one.ran_beside(other)
    ]
