"""The test client does find what openapi.yaml does not say: the contract is alive."""

from typing import Any

import pytest
from rest_framework.response import Response

from scheduler_api.catalogue.views import TaskViewSet
from scheduler_api.schedules.views import IntervalScheduleViewSet
from tests.client import ContractClient

TASK = {
    "name": "some.task",
    "doc": "",
    "arguments": {"type": "object"},
    "worker_count": 0,
    "last_seen_at": None,
    "workers": [],
}
PROBLEM = {
    "type": "urn:scheduler-api:problem:not_found",
    "title": "There is no such resource, or the account may not read it.",
    "status": 404,
    "detail": "There is no such resource, or the account may not read it.",
    "instance": "/api/v1/tasks/some.task/",
    "code": "not_found",
    "request_id": "1",
    "errors": [],
}
AS_PROBLEM = {"content_type": "application/problem+json"}


@pytest.fixture
def answer(api: ContractClient, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the API answer `GET /api/v1/tasks/some.task/` with what a test likes."""

    def get(data: object, status: int = 200, **kwargs: Any) -> Response:
        response = Response(data, status, headers={"ETag": '"1"'}, **kwargs)
        monkeypatch.setattr(TaskViewSet, "retrieve", lambda *_, **__: response)
        return api.get("/api/v1/tasks/some.task/")

    return get


def test_response_that_the_document_describes_passes(answer: Any):
    assert answer(TASK).status_code == 200
    assert answer(PROBLEM, 404, **AS_PROBLEM).status_code == 404


@pytest.mark.parametrize(
    ("data", "status", "complaint"),
    [
        (TASK, 202, "202, which is not described"),
        ({**PROBLEM, "status": 418}, 418, "418, which is not described"),
        ({**TASK, "colour": "red"}, 200, "'colour' was unexpected"),
        ({"name": "some.task", "doc": ""}, 200, "'arguments' is a required property"),
        ({**TASK, "doc": 7}, 200, "7 is not of type 'string'"),
        ({**TASK, "doc": None}, 200, "None is not of type 'string'"),
        ([TASK], 200, "is not of type 'object'"),
    ],
)
def test_answer_that_is_not_described_fails(
    answer: Any, data: object, status: int, complaint: str
):
    with pytest.raises(AssertionError, match=complaint):
        answer(data, status)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"code": "validation_failed"}, "'validation_failed' is not one of"),
        ({"code": None}, "None is not one of"),
        ({"colour": "red"}, "'colour' was unexpected"),
        ({"errors": [{"code": "invalid"}]}, "'detail' is a required property"),
        ({"errors": [{"code": "invalid", "detail": "", "line": 1}]}, "'line' was unexpected"),
    ],
)
def test_problem_that_is_not_described_fails(
    answer: Any, changes: dict[str, object], complaint: str
):
    with pytest.raises(AssertionError, match=complaint):
        answer({**PROBLEM, **changes}, 404, **AS_PROBLEM)


def test_another_media_type_fails(answer: Any):
    with pytest.raises(AssertionError, match="text/html is not described"):
        answer(TASK, content_type="text/html")
    with pytest.raises(AssertionError, match="application/json is not described"):
        answer(PROBLEM, 404)


def test_missing_request_id_fails(answer: Any, settings: Any):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "RequestId" not in name]

    with pytest.raises(AssertionError, match="has no header X-Request-Id"):
        answer(TASK)


def test_missing_location_fails(api: ContractClient, monkeypatch: pytest.MonkeyPatch):
    create = IntervalScheduleViewSet.create

    def without_location(*args: Any) -> Response:
        response = create(*args)
        del response.headers["Location"]
        return response

    monkeypatch.setattr(IntervalScheduleViewSet, "create", without_location)

    with pytest.raises(AssertionError, match="has no header Location"):
        api.post("/api/v1/interval-schedules/", {"every": 5, "period": "minutes"})


def test_instant_that_is_none_fails(api: ContractClient, monkeypatch: pytest.MonkeyPatch):
    upcoming = {"upcoming": ["tomorrow"], "description": "", "clock_changes": ""}
    monkeypatch.setattr(IntervalScheduleViewSet, "upcoming", lambda *_, **__: Response(upcoming))

    with pytest.raises(AssertionError, match="'tomorrow' is not a 'date-time'"):
        api.get("/api/v1/interval-schedules/1/upcoming/")
