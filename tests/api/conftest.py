"""Fixtures for the tests of the API."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest
from django.db import connection
from rest_framework.response import Response

from tests.client import ContractClient
from tests.conftest import caller

Other = psycopg.Connection[Any] | None
Call = Callable[[ContractClient, int], Response]


@pytest.fixture
def two_at_once(transactional_db: None) -> Callable[[Call], list[Response]]:
    """Let two threads, numbered 0 and 1, call the API at the same time."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time, and its test database is one connection's")

    clients = [caller(f"tests {number}", scopes=["admin"]) for number in range(2)]

    def call_twice(call: Call) -> list[Response]:
        start = Barrier(2, timeout=10)

        def call_once(number: int) -> Response:
            start.wait()
            try:
                return call(clients[number], number)
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(call_once, range(2)))

    return call_twice


@pytest.fixture
def other(transactional_db: None) -> Iterator[Other]:
    """A second connection to the test database; None on SQLite, whose database is in memory."""
    if connection.vendor == "sqlite":
        yield None
        return
    parameters = connection.get_connection_params()
    names = parameters.keys() & {"dbname", "user", "password", "host", "port"}
    with psycopg.connect(**{name: parameters[name] for name in names}) as second:
        yield second
        second.rollback()
