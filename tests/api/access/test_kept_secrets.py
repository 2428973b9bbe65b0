"""A secret is kept, by stars or by a field left out, only for the destination that it has."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app
from django_celery_beat.models import PeriodicTask
from rest_framework.response import Response

from scheduler_api.runs.models import Run
from tests.api.http.responses import refusal
from tests.api.periodic_tasks.examples import TASKS, heartbeat, mistakes, without
from tests.api.runs.examples import RUNS
from tests.client import ContractClient

HTTP = "scheduler_api.tasks.http_request"
MANIFEST = "/api/v1/manifest/"
URL = "https://api.example.com/v1"
HOSTS = ["api.example.com", "other.example.com"]

Send = Callable[[ContractClient, dict[str, Any], dict[str, Any]], Response]


def take(**options: Any) -> None:
    """Accept any keyword arguments."""


@pytest.fixture(autouse=True)
def _tasks(settings: Any) -> Iterator[None]:
    settings.HTTP_REQUEST_HOSTS = HOSTS
    settings.ALLOW_CUSTOM_ROUTING = True
    tasks = [
        current_app.task(name=f"a_project.{name}", lazy=False)(take) for name in ("keep", "show")
    ]
    yield
    for task in tasks:
        current_app.tasks.unregister(task)


def in_batch(client: ContractClient, task: dict[str, Any], body: dict[str, Any]) -> Response:
    operation = {"op": "update", "id": task["id"], "body": body}
    return client.post(f"{TASKS}batch/", {"operations": [operation]})


def in_a_manifest(client: ContractClient, task: dict[str, Any], body: dict[str, Any]) -> Response:
    [entry] = client.get(MANIFEST).json()["periodic_tasks"]
    document = {"version": 1, "periodic_tasks": [entry | body]}
    return client.post(f"{MANIFEST}?mode=apply", document)


# A change of a stored definition: some send the whole definition as it was read, with stars.
CHANGES: dict[str, Send] = {
    "put": lambda client, task, body: client.put(f"{TASKS}{task['id']}/", task | body),
    "patch": lambda client, task, body: client.patch(f"{TASKS}{task['id']}/", body),
    "patch with stars": lambda client, task, body: client.patch(
        f"{TASKS}{task['id']}/", {**{name: task[name] for name in ("args", "kwargs")}, **body}
    ),
    "put by name": lambda client, task, body: client.put(
        f"{TASKS}by-name/{task['name']}/", without(task, "id") | body
    ),
    "batch": in_batch,
    "manifest": in_a_manifest,
    "dry run": lambda client, task, body: client.patch(f"{TASKS}{task['id']}/?dry_run=true", body),
}
RUN_NOW: Send = lambda client, task, body: client.post(f"{TASKS}{task['id']}/runs/", body)  # noqa: E731
RUN_BY_ID: Send = lambda client, task, body: client.post(  # noqa: E731
    RUNS, {"periodic_task": task["id"], **body}
)
REQUESTS = {"run now": RUN_NOW, "run by id": RUN_BY_ID}


def request(canary: str, **kwargs: Any) -> dict[str, Any]:
    """Return the definition of a request with a secret header."""
    return heartbeat(
        task=HTTP, kwargs={"url": URL, "headers": {"Authorization": canary}, **kwargs}
    )


def deliver(canary: str, **fields: Any) -> dict[str, Any]:
    """Return the definition of a task with a secret argument."""
    return heartbeat(task="a_project.keep", kwargs={"password": canary}, **fields)


def with_url(url: str) -> dict[str, Any]:
    return {"kwargs": {"url": url, "headers": {"Authorization": "***"}}}


# --- Another destination ------------------------------------------------------------------------

OTHER_URLS = [
    "https://other.example.com/v1",
    "http://api.example.com/v1",
    "https://api.example.com:8443/v1",
    "https://api.example.com.:443/v1",
]


def texts_of(task: dict[str, Any]) -> tuple[str, str, str]:
    row = PeriodicTask.objects.get(pk=task["id"])
    return (row.task, row.args, row.kwargs)


@pytest.mark.parametrize("send", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("body", [{"task": "a_project.show"}, {"exchange": "amq.topic"},
                                  {"routing_key": "elsewhere"}])  # fmt: skip
def test_secret_is_not_kept_for_another_receiver(
    api: ContractClient, canary: str, send: Send, body: dict[str, Any]
):
    task = api.post(TASKS, deliver(canary)).json()
    before = texts_of(task)

    response = send(api, task, body)

    assert refusal(response) == (400, "validation_failed")
    [(pointer, code)] = mistakes(response)
    assert (pointer.rpartition("/kwargs")[2], code) == ("/password", "redacted")
    assert "send the value itself" in response.json()["detail"]
    assert texts_of(task) == before


@pytest.mark.parametrize(
    "send", [*CHANGES.values(), *REQUESTS.values()], ids=[*CHANGES, *REQUESTS]
)
@pytest.mark.parametrize("url", OTHER_URLS)
def test_secret_is_not_kept_for_a_request_to_another_host(
    api: ContractClient, canary: str, send: Send, url: str
):
    task = api.post(TASKS, request(canary)).json()
    before = texts_of(task)

    response = send(api, task, with_url(url))

    assert refusal(response) == (400, "validation_failed")
    [(pointer, code)] = mistakes(response)
    assert pointer.endswith("/kwargs/headers/Authorization")
    assert code == "redacted"
    assert texts_of(task) == before
    assert not Run.objects.exists()


@pytest.mark.parametrize("send", [CHANGES["patch"], CHANGES["batch"], RUN_NOW, RUN_BY_ID])
def test_secret_in_a_field_that_is_left_out_is_not_kept_for_another_host(
    api: ContractClient, canary: str, send: Send
):
    definition = heartbeat(task=HTTP, args=[URL], kwargs={"headers": {"X-Api-Key": canary}})
    task = api.post(TASKS, definition).json()

    response = send(api, task, {"args": [OTHER_URLS[0]]})

    assert [code for _, code in mistakes(response)] == ["redacted"]
    assert not Run.objects.exists()


def test_secret_header_of_the_message_is_not_kept_for_another_task(
    api: ContractClient, canary: str
):
    task = api.post(TASKS, heartbeat(headers={"x-token": canary})).json()

    response = api.patch(f"{TASKS}{task['id']}/", {"task": "project.tasks.clean_up"})

    assert mistakes(response) == [("/headers/x-token", "redacted")]


def test_password_of_a_url_is_not_kept_for_another_task(api: ContractClient, canary: str):
    url = f"amqp://ann:{canary}@mq.example.com/"
    task = api.post(TASKS, heartbeat(task="a_project.keep", kwargs={"broker": url})).json()

    response = api.patch(f"{TASKS}{task['id']}/", {"task": "a_project.show"})

    assert mistakes(response) == [("/kwargs/broker", "redacted")]


# --- The same destination -----------------------------------------------------------------------


@pytest.mark.parametrize("send", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    "body",
    [
        {"priority": 3, "start_time": "2090-01-01T00:00:00Z"},
        {"queue": "celery"},
        {"name": "Renamed", "description": "New", "enabled": False},
    ],
)
def test_secret_is_kept_by_other_changes(
    api: ContractClient, canary: str, send: Send, body: dict[str, Any]
):
    task = api.post(TASKS, deliver(canary)).json()
    if "name" in body and send is CHANGES["manifest"]:
        body = without(body, "name")

    response = send(api, task, body)

    assert response.status_code == 200, response.json()
    assert json.loads(texts_of(task)[2]) == {"password": canary}


@pytest.mark.parametrize(
    "send", [*CHANGES.values(), *REQUESTS.values()], ids=[*CHANGES, *REQUESTS]
)
@pytest.mark.parametrize(
    "url",
    ["https://api.example.com/v2?page=2", "https://API.example.com:443/v1", f"{URL}/users"],
)
def test_secret_is_kept_for_another_path_of_the_same_host(
    api: ContractClient, canary: str, send: Send, url: str
):
    task = api.post(TASKS, request(canary)).json()

    response = send(api, task, with_url(url))

    assert response.status_code in {200, 202}, response.json()
    if send in REQUESTS.values():
        assert json.loads(Run.objects.get().kwargs)["headers"] == {"Authorization": canary}
    else:
        assert json.loads(texts_of(task)[2])["headers"] == {"Authorization": canary}


def test_secret_that_is_sent_again_may_go_to_another_destination(api: ContractClient, canary: str):
    task = api.post(TASKS, request(canary)).json()
    kwargs = {"url": OTHER_URLS[0], "headers": {"Authorization": canary}}

    assert api.post(f"{TASKS}{task['id']}/runs/", {"kwargs": kwargs}).status_code == 202
    assert api.patch(f"{TASKS}{task['id']}/", {"kwargs": kwargs}).status_code == 200
    changed = {"task": "a_project.show", "kwargs": {"password": canary}}
    assert api.patch(f"{TASKS}{task['id']}/", changed).status_code == 200


def test_task_without_secrets_may_change_its_destination(api: ContractClient):
    kwargs = {"url": URL, "headers": {"Accept": "text/plain"}}
    task = api.post(TASKS, heartbeat(task=HTTP, kwargs=kwargs)).json()

    changed = {"kwargs": {"url": OTHER_URLS[0], "headers": {"Accept": "text/plain"}}}
    assert api.patch(f"{TASKS}{task['id']}/", changed).status_code == 200
    moved = {"task": "project.tasks.heartbeat", "kwargs": {}}
    assert api.patch(f"{TASKS}{task['id']}/", moved).status_code == 200
