"""Periodic tasks with a task that only workers have registered."""

import pytest
from django_celery_beat.models import PeriodicTask

from scheduler_api.catalogue.models import TaskSpec, Worker
from tests.api.periodic_tasks.examples import TASKS, address, heartbeat, mistakes, stored
from tests.catalogue.workers import BOOKS, REPORT, close_books, kill, send_report, start_worker

NO_WORKER = {
    "pointer": "/task",
    "code": "no_worker",
    "detail": "No live worker has registered this task: its runs wait until one does.",
}


def report(**fields):
    return heartbeat(**{"task": REPORT, "args": ["2027-06"], **fields})


def test_task_of_a_worker_is_accepted(api):
    start_worker(send_report)

    response = api.post(TASKS, report(kwargs={"copies": 2}))

    assert response.status_code == 201
    assert response.json()["warnings"] == []


@pytest.mark.parametrize(
    ("args", "kwargs", "found"),
    [
        ([], {}, [("/kwargs/month", "missing_argument")]),
        (["06", "2"], {}, [("/args/1", "invalid_argument")]),
        (["06", 2, True], {}, [("/args/2", "unexpected_argument")]),
        (["06"], {"month": "07"}, [("/kwargs/month", "duplicate_argument")]),
        (["06"], {"is_draft": 1}, [("/kwargs/is_draft", "invalid_argument")]),
        (["06"], {"copys": 1}, [("/kwargs/copys", "unexpected_argument")]),
    ],
)
def test_arguments_of_a_workers_task_are_validated(api, args, kwargs, found):
    start_worker(send_report)

    response = api.post(TASKS, report(args=args, kwargs=kwargs))

    assert response.status_code == 400
    assert mistakes(response) == found


def test_refusal_of_an_argument_hides_a_secret(api, canary):
    def sign_in(*, password: int) -> None: ...

    start_worker(sign_in)
    body = report(task="elsewhere.sign_in", args=[], kwargs={"password": canary})

    response = api.post(TASKS, body)

    assert mistakes(response) == [("/kwargs/password", "invalid_argument")]
    assert canary not in response.content.decode()


def test_task_without_a_live_worker_is_accepted_with_a_warning(api):
    kill(start_worker(send_report))

    response = api.post(TASKS, report())

    assert response.status_code == 201
    assert response.json()["warnings"] == [NO_WORKER]
    assert mistakes(api.post(TASKS, report(name="Other", args=[]))) == [
        ("/kwargs/month", "missing_argument")
    ]


def test_warning_ends_when_a_worker_registers_the_task_again(api):
    kill(start_worker(send_report))
    task = stored(task=REPORT, args='["2027-06"]')
    before = api.get(address(task))

    start_worker(send_report)

    after = api.get(address(task))
    assert before.json()["warnings"] == [NO_WORKER]
    assert after.json()["warnings"] == []
    assert before.headers["ETag"] == after.headers["ETag"]
    [listed] = api.get(TASKS).json()["results"]
    assert listed["warnings"] == []


def test_task_of_this_process_without_a_live_worker_has_a_warning(api):
    one = start_worker(send_report)
    TaskSpec.objects.update(name="project.tasks.heartbeat")
    kill(one)

    assert api.post(TASKS, heartbeat()).json()["warnings"] == [NO_WORKER]


def test_dry_run_shows_the_warning(api):
    kill(start_worker(send_report))

    response = api.post(f"{TASKS}?dry_run=true", report())

    assert response.json()["warnings"] == [NO_WORKER]


def test_response_with_a_warning_may_be_sent_back(api):
    kill(start_worker(send_report))
    made = api.post(TASKS, report()).json()

    response = api.put(f"{TASKS}{made['id']}/", made)

    assert response.status_code == 200
    assert response.json()["warnings"] == [NO_WORKER]


def test_task_never_registered_is_refused(api):
    start_worker(send_report)

    response = api.post(TASKS, report(task=BOOKS))

    assert response.status_code == 400
    assert mistakes(response) == [("/task", "unregistered_task")]
    assert f"did you mean '{REPORT}'?" in response.json()["errors"][0]["detail"]


def test_task_never_registered_is_accepted_if_a_setting_allows_it(api, settings):
    settings.UNREGISTERED_TASKS = "allow"

    response = api.post(TASKS, report(task=BOOKS, args=[1, 2, 3]))

    assert response.status_code == 201
    assert [each["code"] for each in response.json()["warnings"]] == ["unregistered_task"]
    celerys_own = api.post(TASKS, report(name="Other", task="celery.chord"))
    assert mistakes(celerys_own) == [("/task", "unregistered_task")]


def test_run_now_of_a_workers_task_validates_arguments(api):
    start_worker(close_books)
    task = stored(task=BOOKS, args="[2026]")

    assert api.post(f"{address(task)}runs/", {"args": [2027]}).status_code == 202
    refused = api.post(f"{address(task)}runs/", {"args": ["2027"]})

    assert mistakes(refused) == [("/args/0", "invalid_argument")]


def test_run_now_of_a_forgotten_task_is_refused(api):
    start_worker(close_books)
    task = stored(task=BOOKS, args="[2026]")
    assert api.post(f"{address(task)}runs/").status_code == 202
    Worker.objects.all().delete()
    TaskSpec.objects.all().delete()

    response = api.post(f"{address(task)}runs/", {"args": [1]})

    assert mistakes(response) == [("/task", "unregistered_task")]
    assert api.get(address(task)).json()["warnings"][0]["code"] == "unregistered_task"
    assert PeriodicTask.objects.count() == 1
