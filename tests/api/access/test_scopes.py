"""Each operation requires one scope: tested on all of openapi.yaml with every scope."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import get_resolver, resolve

from scheduler_api.access.scopes import Scope
from scheduler_api.http.routing import UnknownPath
from scheduler_api.http.viewsets import ApiViewSet
from tests.api.http.responses import refusal
from tests.client import ContractClient
from tests.conftest import caller
from tests.contract.document import OPERATIONS, Operation

PAGE = (Path(__file__).parents[3] / "docs" / "access.md").read_text()
# By the first part of the path: the scopes to read and to write.
SCOPES = {
    "": ("", ""),
    **dict.fromkeys(
        [f"{kind}-schedules" for kind in ("interval", "crontab", "solar", "clocked")],
        ("schedules:read", "schedules:write"),
    ),
    "schedules": ("schedules:read", "schedules:read"),
    "periodic-tasks": ("periodic-tasks:read", "periodic-tasks:write"),
    "upcoming": ("periodic-tasks:read", "periodic-tasks:write"),
    "manifest": ("periodic-tasks:read", "periodic-tasks:write"),
    "runs": ("runs:read", "runs:write"),
    **dict.fromkeys(["tasks", "workers"], ("tasks:read", "tasks:read")),
    **dict.fromkeys(["webhooks", "deliveries"], ("webhooks:read", "webhooks:write")),
    "audit-entries": ("audit:read", "audit:read"),
    "service-accounts": ("admin", "admin"),
    "api-keys": ("admin", "admin"),
}
of_each_operation = pytest.mark.parametrize(
    "operation", [pytest.param(operation, id=operation.id) for operation in OPERATIONS]
)


def expected_scope(operation: Operation) -> str:
    """Return the scope that an operation should require, from its method and path."""
    collection, *rest = operation.path.removeprefix("/api/v1/").strip("/").split("/")
    if operation.method == "delete" and collection == "periodic-tasks":
        return "periodic-tasks:delete"
    if {"runs", "backfill"} & set(rest):
        collection = "runs"
    read, write = SCOPES[collection]
    return read if operation.method == "get" else write


def ask(client: ContractClient, operation: Operation) -> Any:
    """Call an operation on an unknown object, without a body."""
    path = operation.path.replace("{id}", "999999").replace("{name}", "nothing")
    return getattr(client, operation.method)(path)


@of_each_operation
def test_operation_documents_its_scope(operation: Operation):
    scope = expected_scope(operation)

    text = f"Scope: `{scope}`." if scope else ""
    assert operation.described["description"].endswith(text)
    assert ("Scope:" in operation.described["description"]) is bool(scope)


@pytest.mark.django_db
@of_each_operation
def test_operation_accepts_only_its_scope_and_admin(operation: Operation):
    needed = expected_scope(operation)

    for scope in Scope.values:
        response = ask(caller(scope, scopes=[scope]), operation)

        if not needed or scope in {needed, "admin"}:
            assert response.status_code not in {401, 403}, (scope, response.json())
        else:
            assert refusal(response) == (403, "forbidden")
            assert needed in response.json()["detail"]
            assert response.headers["WWW-Authenticate"] == (
                f'Bearer error="insufficient_scope", scope="{needed}"'
            )


@pytest.mark.django_db
@of_each_operation
def test_account_without_scopes_may_use_open_operations_only(operation: Operation):
    response = ask(caller("newcomer", scopes=[]), operation)

    assert (response.status_code == 403) is bool(expected_scope(operation))


@pytest.mark.django_db
def test_all_other_scopes_do_not_replace_one():
    others = [scope for scope in Scope.values if scope not in {"admin", "periodic-tasks:delete"}]
    client = caller("nearly", scopes=others)

    assert client.delete("/api/v1/periodic-tasks/999999/").status_code == 403
    assert client.get("/api/v1/api-keys/").status_code == 403


def routes(resolver: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each path under the API with its view."""
    for pattern in (resolver or get_resolver()).url_patterns:
        address = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern, address)
        elif address.lstrip("^").startswith("api/"):
            yield address, pattern.callback


ROUTES = dict(routes())


@pytest.mark.parametrize("address", ROUTES)
def test_every_view_declares_the_scope_of_each_action(address: str):
    view = ROUTES[address]
    if view.cls is UnknownPath:
        return

    assert issubclass(view.cls, ApiViewSet)
    undeclared = set(view.actions.values()) - view.cls.scopes.keys()
    assert not undeclared, f"{view.cls.__name__} declares no scope for {undeclared}"
    assert {view.cls.scopes[action] for action in view.actions.values()} <= {*Scope.values, ""}


def test_access_page_documents_every_scope():
    _, _, section = PAGE.partition("## Scopes")
    rows = re.findall(r"^\| `([a-z:-]+)` \| .*\S.* \|$", section, re.MULTILINE)

    assert rows == Scope.values


def test_every_route_was_found():
    assert len(ROUTES) > 15
    for operation in OPERATIONS:
        path = operation.path.replace("{id}", "1").replace("{name}", "nothing")
        assert resolve(path).func.cls in {view.cls for view in ROUTES.values()}
