"""A pause stops the runs that a real beat sends, and ends by itself."""

from datetime import UTC, datetime, timedelta

from tests.journeys.service import Service, wait_for

TASKS = "/api/v1/periodic-tasks/"
PAUSE_SECONDS = 6


def test_pause_with_an_end_resumes_without_catching_up(service: Service) -> None:
    _, task = service.call(
        "POST",
        TASKS,
        {
            "name": "Pausing",
            "task": "project.tasks.heartbeat",
            "schedule": {"type": "interval", "every": 1, "period": "seconds"},
        },
    )
    address = f"{TASKS}{task['id']}/"

    def run_count() -> int:
        count: int = service.call("GET", address)[1]["total_run_count"]
        return count

    wait_for(lambda: run_count() >= 1, seconds=15, why=service.output)
    until = datetime.now(UTC) + timedelta(seconds=PAUSE_SECONDS)

    status, task = service.call("POST", f"{address}pause/", {"until": until.isoformat()})
    assert (status, task["paused"]) == (200, True)

    wait_for(lambda: not service.call("GET", address)[1]["paused"], seconds=20, why=service.output)
    assert datetime.now(UTC) >= until
    before = service.call("GET", address)[1]
    # Beat may have published one more run when the pause began, and one a second after its end.
    assert before["total_run_count"] <= task["total_run_count"] + 2
    assert "Resuming Pausing: its pause is over" in service.output()

    wait_for(lambda: run_count() > before["total_run_count"] + 1, seconds=15, why=service.output)
    assert service.call("DELETE", address)[0] == 204
