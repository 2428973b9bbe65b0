"""Accounts, keys and clients for the tests of access."""

from typing import Any

from rest_framework.test import APIClient

from scheduler_api.access.models import ServiceAccount
from tests.client import ContractClient
from tests.conftest import caller

ACCOUNTS = "/api/v1/service-accounts/"
KEYS = "/api/v1/api-keys/"
INDEX = "/api/v1/"
EVERYTHING_BUT_ADMIN = [
    "schedules:read",
    "schedules:write",
    "periodic-tasks:read",
    "periodic-tasks:write",
    "periodic-tasks:delete",
    "runs:read",
    "runs:write",
    "tasks:read",
    "webhooks:read",
    "webhooks:write",
    "audit:read",
]


def service(name: str, **account: Any) -> ContractClient:
    """A client of an account with every scope but `admin`."""
    return caller(name, scopes=EVERYTHING_BUT_ADMIN, **account)


def key_of(client: APIClient) -> str:
    """Return the key that a client sends."""
    text: str = client._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    return text


def with_key(text: str, scheme: str = "Bearer") -> APIClient:
    """Return a client that sends this key."""
    client = ContractClient()
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {text}")
    return client


def account_of(name: str) -> ServiceAccount:
    """Return the account with this name."""
    return ServiceAccount.objects.get(name=name)
