"""Fixtures of all tests."""

import os
import tempfile

# Before the settings are read: no test touches the checkout's own data.
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="scheduler-api-tests-"))

import pytest

from tests.client import ContractClient

pytest_plugins = ["tests.services"]


@pytest.fixture
def api(db: None) -> ContractClient:
    """Call the API, each response of which must be as openapi.yaml says."""
    return ContractClient()
