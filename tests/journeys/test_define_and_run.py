"""From an HTTP request to a run in a worker, through all processes."""

from datetime import UTC, datetime, timedelta

from tests.journeys.service import Service, wait_for

TASKS = "/api/v1/periodic-tasks/"
RUN_SECONDS = 10


def test_periodic_task_runs_until_it_is_disabled(service: Service) -> None:
    began_at = datetime.now(UTC)
    status, task = service.call(
        "POST",
        TASKS,
        {
            "name": "Import contacts every two seconds",
            "task": "project.tasks.import_contacts",
            "schedule": {"type": "interval", "every": 2, "period": "seconds"},
            "args": ["here", "there"],
            "kwargs": {"be_careful": True},
            "headers": {"tenant": "journey", "trace": {"id": 7, "flags": [True, None]}},
        },
    )
    assert status == 201
    address = f"{TASKS}{task['id']}/"
    assert task["last_run_at"] is None
    assert task["total_run_count"] == 0

    called = "Importing contacts: arg1='here' arg2='there' be_careful=True"
    wait_for(lambda: called in service.output(), seconds=RUN_SECONDS, why=service.output)

    wait_for(
        lambda: service.call("GET", address)[1]["total_run_count"] >= 2,
        seconds=RUN_SECONDS,
        why=service.output,
    )
    _, task = service.call("GET", address)
    last_run_at = datetime.fromisoformat(task["last_run_at"])
    next_run_at = datetime.fromisoformat(task["next_run_at"])
    assert began_at < last_run_at < datetime.now(UTC)
    # Slots do not drift: the next one is two seconds after a slot, not after a run.
    assert timedelta(0) < next_run_at - last_run_at <= timedelta(seconds=2)

    status, task = service.call("PATCH", address, {"enabled": False})
    assert status == 200
    assert task["next_run_at"] is None
    assert task["last_run_at"] is not None
    runs = count_when_stopped(service, called)

    _, task = service.call("GET", address)
    assert (task["enabled"], task["next_run_at"], task["total_run_count"]) == (False, None, runs)


def count_when_stopped(service: Service, called: str) -> int:
    """Return the number of runs, once there was none for three intervals."""
    counts: list[int] = []

    def has_stopped() -> bool:
        counts.append(service.output().count(called))
        return len(counts) > 60 and counts[-1] == counts[-60]

    wait_for(has_stopped, seconds=20, why=service.output)
    return counts[-1]


def test_clocked_task_runs_once(embedded: Service) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=3)
    _, task = embedded.call(
        "POST",
        TASKS,
        {
            "name": "Add once",
            "task": "project.tasks.add",
            "schedule": {"type": "clocked", "clocked_time": moment.isoformat()},
            "kwargs": {"x": 1723, "y": 19},
        },
    )
    assert datetime.fromisoformat(task["next_run_at"]) == moment

    wait_for(
        lambda: "1723 + 19 = 1742" in embedded.output(), seconds=RUN_SECONDS, why=embedded.output
    )

    address = f"{TASKS}{task['id']}/"
    wait_for(lambda: embedded.call("GET", address)[1]["next_run_at"] is None, seconds=RUN_SECONDS)
    assert embedded.call("GET", address)[1]["total_run_count"] == 1
    assert embedded.output().count("1723 + 19 = 1742") == 1


def test_schedule_of_the_settings_is_loaded_and_listed(embedded: Service) -> None:
    def names() -> set[str]:
        return {
            task["name"] for task in embedded.call("GET", f"{TASKS}?page_size=500")[1]["results"]
        }

    wait_for(lambda: {"heartbeat", "nightly-cleanup"} <= names(), seconds=RUN_SECONDS)

    _, page = embedded.call("GET", f"{TASKS}?name=nightly-cleanup")
    [task] = page["results"]
    assert task["schedule"]["type"] == "crontab"
    assert (task["schedule"]["minute"], task["schedule"]["hour"]) == ("0", "3")
    assert task["kwargs"] == {"older_than_days": 30}
    assert task["next_run_at"].endswith("T03:00:00Z")
