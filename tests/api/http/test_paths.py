"""Paths that no database could look for."""

import pytest
from rest_framework.test import APIClient

from tests.api.http.responses import refusal
from tests.contract.document import OPERATIONS

WITH_PARAMETERS = [operation for operation in OPERATIONS if "{" in operation.path]


@pytest.mark.parametrize("value", ["%00", "a%00b"])
@pytest.mark.parametrize("operation", WITH_PARAMETERS, ids=lambda operation: operation.id)
def test_nul_in_a_path_names_nothing(api, operation, value):
    client = APIClient()
    client.credentials(**api._credentials)
    parts = operation.path.split("/")
    path = "/".join(value if part.startswith("{") else part for part in parts)

    response = getattr(client, operation.method)(path)

    assert refusal(response) == (404, "not_found")


@pytest.mark.parametrize("path", ["/%00", "/docs/%00", "/static/%00.js"])
def test_nul_outside_the_api_names_nothing(db, path):
    assert refusal(APIClient().get(path)) == (404, "not_found")


def test_path_of_admin_with_nul_is_a_page(admin_client):
    assert admin_client.get("/admin/scheduler_api/run/%00/change/").status_code == 404
