"""Fifty concurrent requests with one Idempotency-Key create one object."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.journeys.service import Answer, Service

INTERVALS = "/api/v1/interval-schedules/"
FIFTY = 50


@pytest.fixture(params=["embedded", "on_servers"])
def service(request: pytest.FixtureRequest) -> Service:
    """A shared service on each database, with two API processes of eight threads."""
    running: Service = request.getfixturevalue(request.param)
    return running


def create(service: Service, key: str, *, every: int) -> Answer:
    body = {"every": every, "period": "days"}
    return service.send("POST", INTERVALS, body, {"Idempotency-Key": key})


def create_all_at_once(service: Service, keys: list[str], *, every: int) -> list[Answer]:
    start = Barrier(len(keys), timeout=30)

    def create_at_the_start(key: str) -> Answer:
        start.wait()
        return create(service, key, every=every)

    with ThreadPoolExecutor(len(keys)) as threads:
        return list(threads.map(create_at_the_start, keys))


def stored(service: Service, *, every: int) -> int:
    _, page = service.call("GET", f"{INTERVALS}?page_size=500")
    return [schedule["every"] for schedule in page["results"]].count(every)


def test_fifty_requests_with_one_key_create_one_object(service: Service) -> None:
    answers = create_all_at_once(service, ["the-same"] * FIFTY, every=7)

    answered = [answer for answer in answers if answer.status == 201]
    in_flight = [answer for answer in answers if answer.status == 409]
    assert len(answered) + len(in_flight) == FIFTY, {answer.status for answer in answers}
    [original] = [answer for answer in answered if "Idempotent-Replayed" not in answer.headers]
    assert all(answer.json == original.json for answer in answered)
    assert all(answer.json["code"] == "request_in_flight" for answer in in_flight)
    assert all(answer.headers["Retry-After"] == "1" for answer in in_flight)

    repeat = create(service, "the-same", every=7)
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert (repeat.status, repeat.json) == (201, original.json)
    assert stored(service, every=7) == 1


def test_fifty_requests_with_different_keys_create_fifty_objects(service: Service) -> None:
    keys = [f"key-{number}" for number in range(FIFTY)]

    answers = create_all_at_once(service, keys, every=11)

    assert {answer.status for answer in answers} == {201}
    assert len({answer.headers["Location"] for answer in answers}) == FIFTY
    assert stored(service, every=11) == FIFTY
