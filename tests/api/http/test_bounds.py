"""No body makes an operation work, or answer, out of proportion."""

import tracemalloc
from functools import cache
from time import process_time
from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.test import APIClient

from scheduler_api.http.fields import BoundedList
from scheduler_api.http.idempotency import MAX_STORED_BYTES
from scheduler_api.http.models import IdempotentResponse
from scheduler_api.http.parsing import BULK_MAX_BYTES, DEFAULT_MAX_BYTES, parse_json
from scheduler_api.http.problems import MAX_ERRORS, Problem
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.http.yaml_parsing import parse_yaml
from scheduler_api.periodic_tasks.batch_serializers import MAX_OPERATIONS, OperationField
from scheduler_api.periodic_tasks.serializers import PeriodicTaskSerializer
from tests.api.http.hostile_bodies import (
    BATCH,
    JSON,
    MANIFEST,
    MOST,
    YAML,
    as_many_as_allowed,
    bodies_for,
    illegal_json,
    legal_bodies,
    named,
    operations,
)
from tests.api.http.responses import mistakes, refusal
from tests.api.periodic_tasks.examples import TASKS, heartbeat
from tests.api.schedules.bodies import INTERVAL, INTERVALS
from tests.api.writes import WRITES, prepare
from tests.client import ContractClient
from tests.contract.document import Operation

BATCHES = f"{TASKS}batch/"
ONCE = {"Idempotency-Key": "once"}
MANY = 1000
# A guard, not a measurement: benchmarks/bounds.py measures, and the target is 2 s.
MAX_CPU_SECONDS = 10
MAX_PEAK_BYTES = 100 * 10**6
MAX_REFUSAL_BYTES = 256 * 1024
WITH_BODIES = [each for each in WRITES if "requestBody" in each.values[0].described]
SINGLE = [each for each in WITH_BODIES if each.values[0].id not in MOST]

# Bodies that are JSON objects, so that an operation validates them.
OBJECTS = {
    "unknown fields",
    "a long key",
    "a long key of controls",
    "one object of duplicate keys",
}


@cache
def bodies(operation: str, size: int, media_type: str) -> list[tuple[str, bytes]]:
    """Return the illegal bodies of an operation."""
    legal = {name for name, _ in legal_bodies(operation, size)} if operation in MOST else ()
    return [each for each in bodies_for(operation, size, media_type) if each[0] not in legal]


def send(api: ContractClient, method: str, path: str, media_type: str, body: bytes) -> Response:
    """Send a body, without the comparison with openapi.yaml, which takes longer than all else."""
    client = APIClient()
    client.credentials(**api._credentials)
    response: Response = client.generic(method.upper(), path, body, content_type=media_type)
    return response


# --- Every operation --------------------------------------------------------------------------


def test_operations_with_larger_bodies_are_tested():
    others = {each.values[0].id for each in WITH_BODIES} - {each.values[0].id for each in SINGLE}

    assert others == MOST.keys()


@pytest.mark.parametrize("operation", SINGLE)
def test_illegal_body_of_the_largest_size_is_refused_in_bounds(
    api: ContractClient, operation: Operation
):
    path = prepare(api, operation).args[0]
    for name, body in bodies("", DEFAULT_MAX_BYTES, JSON):
        if name not in OBJECTS and operation.id != "createPeriodicTask":
            continue  # refused before the operation sees it
        started = process_time()

        response = send(api, operation.method, path, JSON, body)

        assert process_time() - started < MAX_CPU_SECONDS, name
        assert refusal(response)[0] in {400, 413}, name
        assert len(response.json()["errors"]) <= MAX_ERRORS, name
        assert len(response.content) < MAX_REFUSAL_BYTES, name


@pytest.mark.parametrize("query", ["", "?atomic=false"])
def test_batch_of_the_largest_size_is_answered_in_bounds(api: ContractClient, query: str):
    for name, body in bodies(BATCH, BULK_MAX_BYTES, JSON):
        started = process_time()

        response = send(api, "POST", f"{BATCHES}{query}", JSON, body)

        assert process_time() - started < MAX_CPU_SECONDS, name
        assert len(response.content) < MAX_STORED_BYTES, name
        answer = response.json()
        results = answer.get("results", [])
        problems = (
            [each["body"] for each in results if each["status"] >= 400] if results else [answer]
        )
        assert sum(len(each["errors"]) for each in problems) <= MAX_ERRORS + 1, name


@pytest.mark.parametrize("media_type", [JSON, YAML])
def test_illegal_manifest_of_the_largest_size_is_refused_in_bounds(
    api: ContractClient, media_type: str
):
    for name, body in bodies(MANIFEST, BULK_MAX_BYTES, media_type):
        started = process_time()

        response = send(api, "POST", "/api/v1/manifest/", media_type, body)

        assert process_time() - started < MAX_CPU_SECONDS, name
        assert refusal(response)[0] in {400, 409, 413}, name
        assert len(response.json()["errors"]) <= MAX_ERRORS, name
        assert len(response.content) < MAX_REFUSAL_BYTES, name


# --- Parsing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
@pytest.mark.parametrize(
    ("name", "body"),
    [
        *as_many_as_allowed(BULK_MAX_BYTES),
        *((name, body) for name, body in illegal_json(BULK_MAX_BYTES) if "wide" in name),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_memory_of_parsing_is_bounded(parse: Any, name: str, body: bytes):
    tracemalloc.start()
    try:
        document: Any = parse(body)
    except Problem as problem:
        document = problem
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < MAX_PEAK_BYTES, name
    assert len(getattr(document, "errors", [])) <= MAX_ERRORS + 1


# --- Mistakes -----------------------------------------------------------------------------------


def test_items_of_a_list_that_is_too_long_are_not_validated(
    api: ContractClient, monkeypatch: pytest.MonkeyPatch
):
    seen: list[object] = []
    monkeypatch.setattr(OperationField, "run_validation", seen.append)

    response = api.post(BATCHES, {"operations": [[]] * (MAX_OPERATIONS + 1)})

    assert mistakes(response) == [("/operations", "max_length")]
    assert seen == []


def test_validation_of_items_ends_when_enough_are_wrong(
    api: ContractClient, monkeypatch: pytest.MonkeyPatch
):
    checked: list[object] = []
    validate = OperationField.to_internal_value

    def count(field: OperationField, data: object) -> object:
        checked.append(data)
        return validate(field, data)

    monkeypatch.setattr(OperationField, "to_internal_value", count)

    response = api.post(BATCHES, {"operations": [{}] * MAX_OPERATIONS})

    assert len(checked) == MAX_ERRORS + 1
    assert len(response.json()["errors"]) == MAX_ERRORS
    assert response.json()["detail"].endswith("(and at least 100 more)")


def test_atomic_batch_ends_when_enough_operations_have_failed(
    api: ContractClient, monkeypatch: pytest.MonkeyPatch
):
    checked: list[object] = []
    check = PeriodicTaskSerializer.check

    def count(serializer: PeriodicTaskSerializer, data: Any, **options: Any) -> object:
        checked.append(data)
        return check(serializer, data, **options)

    monkeypatch.setattr(PeriodicTaskSerializer, "check", count)
    wrong = [{"op": "create", "body": named(number, priority=-1)} for number in range(500)]

    refused = api.post(BATCHES, {"operations": wrong})

    assert len(checked) == MAX_ERRORS + 1
    assert refused.json()["errors"][0]["pointer"] == "/operations/0/body/priority"
    assert len(refused.json()["errors"]) == MAX_ERRORS


def test_known_fields_are_listed_once(api: ContractClient):
    response = api.post(INTERVALS, {**INTERVAL, "qqq": 1, "zzz": 2, "evry": 3})

    details = [error["detail"] for error in response.json()["errors"]]
    assert details[0].startswith("There is no field 'qqq'; known: description, every,")
    assert details[1:] == [
        "There is no field 'zzz'.",
        "There is no field 'evry'; did you mean 'every'?",
    ]


@pytest.mark.parametrize("name", ["x" * 200_000, "\x7f" * 60_000, "/" * 100_000])
def test_long_name_is_shortened_in_a_refusal(api: ContractClient, name: str):
    response = api.post(INTERVALS, {**INTERVAL, name: 1})

    [mistake] = response.json()["errors"]
    assert (mistake["pointer"], mistake["code"]) == ("", "unknown_field")
    assert len(response.content) < 4000


def test_long_value_is_shortened_in_a_refusal(api: ContractClient):
    schedule = {"type": "crontab", "expression": "* " * 100_000}

    response = api.post(TASKS, heartbeat(schedule=schedule))

    assert refusal(response) == (400, "validation_failed")
    assert len(response.content) < 4000


def test_every_list_in_a_body_has_a_bound():
    def classes(base: type[Any]) -> list[type[Any]]:
        return [base, *(each for sub in base.__subclasses__() for each in classes(sub))]

    def lists(serializer: Any) -> list[Any]:
        return [
            field
            for field in serializer.fields.values()
            if isinstance(field, serializers.ListField | serializers.ListSerializer)
            and not field.read_only
        ]

    concrete = [
        each
        for each in classes(StrictSerializer)[1:]
        if each.__module__.startswith("scheduler_api")
        and (hasattr(each, "Meta") or not issubclass(each, serializers.ModelSerializer))
    ]
    found = [field for each in concrete for field in lists(each())]

    assert len(found) >= 5
    assert all(isinstance(field, BoundedList) for field in found)


# --- Stored responses ---------------------------------------------------------------------------


@pytest.mark.both_databases
def test_large_response_is_not_stored_and_the_request_is_not_repeated(api: ContractClient):
    large = {"task": "project.tasks.fail", "args": ["x" * 60_000]}
    body = operations([{"op": "create", "body": named(n, **large)} for n in range(20)])

    first = api.generic("POST", BATCHES, body, content_type=JSON, headers=ONCE)
    repeated = api.generic("POST", BATCHES, body, content_type=JSON, headers=ONCE)

    assert (first.status_code, len(first.content) > MAX_STORED_BYTES) == (200, True)
    assert refusal(repeated) == (409, "answer_not_kept")
    assert IdempotentResponse.objects.get().body == ""
    assert len(api.get(f"{TASKS}?page_size=500").json()["results"]) == 20


# --- The head of a request --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("&".join(f"x{number}=1" for number in range(99)), (400, "invalid_query")),
        ("&".join(f"x{number}=1" for number in range(MANY)), (400, "invalid_query")),
        ("&" * MANY, (400, "invalid_query")),
        ("search=" + "x" * 8190, (400, "invalid_query")),
        ("interval=" + "9" * 8000, (400, "invalid_query")),
        ("label=" + ",".join(f"k{number}" for number in range(MANY)), (400, "invalid_query")),
        ("cursor=" + "x" * 8000, (400, "invalid_query")),
    ],
    ids=["unknown", "too many", "separators", "too long", "id", "labels", "cursor"],
)
def test_large_query_is_refused(api: ContractClient, query: str, answer: Any):
    response = api.get(f"{TASKS}?{query}")

    assert refusal(response) == answer
    assert len(response.content) < 64 * 1024


@pytest.mark.parametrize("name", ["If-None-Match", "Accept", "Idempotency-Key", "X-Anything"])
def test_large_header_is_refused(api: ContractClient, name: str):
    response = api.post(INTERVALS, INTERVAL, headers={name: "*" * 8191})

    assert refusal(response) == (400, "bad_request")


def test_too_many_headers_are_refused(api: ContractClient):
    headers = {f"X-{number}": "1" for number in range(101)}

    assert refusal(api.get(INTERVALS, headers=headers)) == (400, "bad_request")
