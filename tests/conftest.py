"""Fixtures of all tests."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.client import ContractClient

pytest_plugins = ["tests.services"]


@pytest.fixture
def api(db: None) -> ContractClient:
    """Call the API as `admin`; each response must be as openapi.yaml says."""
    return caller("tests", scopes=["admin"])


def caller(name: str, **account: Any) -> ContractClient:
    """Make an account with a key, and return a client that calls the API with it."""
    from scheduler_api.access.models import ApiKey, ServiceAccount  # noqa: PLC0415 - after setup()

    owner = ServiceAccount.objects.create(name=name, **account)
    _, text = ApiKey.issue(owner, last_used_at=datetime.now(UTC))
    client = ContractClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client
