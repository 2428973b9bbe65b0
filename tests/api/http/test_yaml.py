"""YAML beside JSON in one resource, and its refusal in others."""

import json
from typing import Any, ClassVar

import pytest
from django.urls import include, path
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient

from scheduler_api.http.parsing import StrictJSONParser
from scheduler_api.http.problems import NotFound
from scheduler_api.http.viewsets import ANY_KEY, ApiViewSet
from scheduler_api.http.yaml_parsing import StrictYAMLParser
from scheduler_api.http.yaml_rendering import YAMLRenderer
from tests.api.http.responses import mistakes, refusal
from tests.api.schedules.bodies import INTERVALS, no_schedules_are_stored
from tests.client import ContractClient

ECHO = "/echo/"
MAX_BYTES = 8 * 1024 * 1024


class EchoViewSet(ApiViewSet):
    """Return the parsed body."""

    resource = "echo"
    tag = "Echo"
    parser_classes = [StrictJSONParser, StrictYAMLParser]
    renderer_classes = [JSONRenderer, YAMLRenderer]
    scopes: ClassVar = {"echo": ANY_KEY, "lack": ANY_KEY}
    max_body_bytes = MAX_BYTES
    schema = None

    def echo(self, request: Request) -> Response:
        return Response(request.data)

    def lack(self, request: Request) -> Response:
        raise NotFound


urlpatterns = [
    path("", include("scheduler_api.urls")),
    path("echo/", EchoViewSet.as_view({"get": "lack", "post": "echo"})),
]
pytestmark = pytest.mark.urls(__name__)


def send(
    api: APIClient, body: str | bytes, content_type: str = "application/yaml", **headers: str
) -> Response:
    return api.generic("POST", ECHO, body, content_type=content_type, headers=headers)


@pytest.mark.parametrize("content_type", ["application/yaml", "Application/YAML; charset=utf-8"])
def test_yaml_body_is_read(api: ContractClient, content_type: str):
    response = send(api, "a: [1, yes]\n", content_type)

    assert (response.status_code, response.json()) == (200, {"a": [1, "yes"]})
    assert response.headers["Content-Type"] == "application/json"


def test_yaml_is_returned_if_accepted(api: ContractClient):
    response = send(api, '{"a": [1, "yes"]}', "application/json", Accept="application/yaml")

    assert response.status_code == 200
    assert response.content == b'a:\n- 1\n- "yes"\n'
    assert response.headers["Content-Type"] == "application/yaml"
    assert "Accept" in response.headers["Vary"]


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json, application/yaml"])
def test_json_is_the_default_response(api: ContractClient, accept: str):
    response = send(api, "a: 1", Accept=accept)

    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {"a": 1}


def test_problem_is_json_if_only_yaml_is_accepted(api: ContractClient):
    yaml_alone = {"Accept": "application/yaml"}

    assert refusal(send(api, "a: &b 1", **yaml_alone)) == (400, "malformed_body")
    assert refusal(api.get(ECHO, headers=yaml_alone)) == (404, "not_found")
    assert refusal(api.delete(ECHO, headers=yaml_alone)) == (405, "method_not_allowed")
    assert refusal(APIClient().get(ECHO, headers=yaml_alone)) == (401, "not_authenticated")


def test_duplicate_yaml_key_is_refused_with_its_pointer(api: ContractClient):
    response = send(api, "a:\n  b: 1\n  b: 2\n")

    assert refusal(response) == (400, "malformed_body")
    assert mistakes(response) == [("/a", "duplicate_key")]


def test_unsupported_media_type_is_refused_with_the_supported_ones(api: ContractClient):
    unreadable = send(api, "a: 1", "text/plain")
    unwritable = send(api, "a: 1", Accept="text/plain")

    assert refusal(unreadable) == (415, "unsupported_media_type")
    assert "Send application/json or application/yaml." in unreadable.json()["detail"]
    assert refusal(unwritable) == (406, "not_acceptable")
    assert "Accept application/json or application/yaml and" in unwritable.json()["detail"]


def test_other_resources_refuse_yaml(api: ContractClient):
    body = "{every: 5, period: days}"

    unreadable = api.generic("POST", INTERVALS, body, content_type="application/yaml")
    unwritable = api.get(INTERVALS, headers={"Accept": "application/yaml"})

    assert refusal(unreadable) == (415, "unsupported_media_type")
    assert refusal(unwritable) == (406, "not_acceptable")
    assert no_schedules_are_stored()


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "a"}], ids=["once", "with a key"])
@pytest.mark.parametrize("content_type", ["application/yaml", "application/json"])
def test_body_limit_is_that_of_the_view(
    api: ContractClient, content_type: str, headers: dict[str, Any]
):
    body = json.dumps("x" * (MAX_BYTES - 2))

    longest = send(api, body, content_type, **headers)
    too_long = send(api, f"{body} ", content_type, **headers)

    assert longest.status_code == 200
    assert refusal(too_long) == (413, "body_too_large")
    assert "at most 8388608 bytes" in too_long.json()["detail"]
