"""openapi.yaml is what the code says, complete, and true to itself."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from openapi_spec_validator import OpenAPIV31SpecValidator

from scheduler_api.runs.events import RunEvent
from scheduler_api.webhooks.fan_out import fan_out
from scheduler_api.webhooks.models import Delivery
from tests.api.runs.examples import NOON
from tests.client import ContractClient, contract
from tests.contract.document import (
    DOCUMENT,
    OPERATIONS,
    SCHEMAS,
    TEXT,
    Operation,
    everything_in,
    examples_of,
    fields_of,
    required_in,
    resolved,
)
from tests.webhooks.examples import account, store_event, task_of, webhook_of

ROOT = Path(__file__).parents[2]
# One operation with its parameters, bodies and responses. The limit grows with the number of
# operations: a new one has room, and only texts or components that grow everywhere go beyond it.
MAX_BYTES_PER_OPERATION = 3_750
MAX_NAME_LENGTH = 40
KINDS = ["clocked", "crontab", "interval", "solar"]
REQUESTS = {
    name: schema
    for name, schema in SCHEMAS.items()
    if name.endswith("Request") and ("oneOf" not in schema or "properties" in schema)
}

of_each_operation = pytest.mark.parametrize(
    "operation", [pytest.param(operation, id=operation.id) for operation in OPERATIONS]
)


# --- The whole document ---------------------------------------------------------------------


def test_document_is_fresh(tmp_path: Path):
    file = tmp_path / "openapi.yaml"

    call_command("spectacular", file=str(file), validate=True, fail_on_warn=True)

    assert file.read_text() == TEXT, "openapi.yaml is not what the code says: run make schema"


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"},
        {"DATABASE_URL": "sqlite:///:memory:"},
        {"TIME_ZONE": "Asia/Tokyo", "DEBUG": "true", "QUEUES": "fast,slow", "PORT": "9999"},
    ],
    ids=["PostgreSQL", "SQLite", "other settings"],
)
def test_document_does_not_depend_on(environment: dict[str, str], tmp_path: Path):
    result = subprocess.run(
        [sys.executable, "manage.py", "spectacular", "--fail-on-warn"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == TEXT.strip()


def test_document_is_valid_openapi_3_1():
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_document_has_nothing_left_of_openapi_3_0():
    assert not [node for node in everything_in(DOCUMENT) if "nullable" in node]


def test_document_is_served_unchanged(client: Any):
    response = client.get("/openapi.yaml")

    assert response.content.decode() == TEXT
    assert response.headers["Content-Type"].partition(";")[0] == "application/yaml"


def test_no_operation_is_found_twice():
    ids = [operation.described["operationId"] for operation in OPERATIONS]

    assert len(set(ids)) == len(ids)


def test_every_tag_is_described_and_used():
    found = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}

    assert found == {tag for operation in OPERATIONS for tag in operation.described["tags"]}


# --- Each operation -------------------------------------------------------------------------


def expected_id(operation: Operation) -> str:
    """Derive the id from method and address alone."""
    collection, *rest = operation.path.removeprefix("/api/v1/").strip("/").split("/")
    if not collection:
        return "getApiIndex"
    if collection == "manifest":
        return "getManifest" if operation.method == "get" else "applyManifest"
    if rest[:1] == ["by-name"]:
        verb = {"get": "get", "put": "put", "patch": "update", "delete": "delete"}
        return f"{verb[operation.method]}PeriodicTaskByName"
    many = "".join(word.capitalize() for word in collection.split("-"))
    one = re.sub("ies$", "ys", many).removesuffix("s")
    if actions := [segment for segment in rest if not segment.startswith("{")]:
        (action,) = actions
        verb = action.removesuffix("s")
        return f"get{one}{action.capitalize()}" if operation.method == "get" else f"{verb}{one}"
    if not rest:
        return {"get": f"list{many}", "post": f"create{one}"}[operation.method]
    verb = {"get": "get", "put": "replace", "patch": "update", "delete": "delete"}
    return f"{verb[operation.method]}{one}"


@of_each_operation
def test_its_id_follows_the_rule(operation: Operation):
    assert operation.described["operationId"] == expected_id(operation)


@of_each_operation
def test_operation_is_explained(operation: Operation):
    texts = [operation.described["summary"], operation.described["description"]]
    texts += [parameter["description"] for parameter in operation.parameters()]
    texts += [response["description"] for _, _, response in operation.responses()]

    assert all(text.strip() for text in texts)
    assert not [text for text in texts if str(dict.__doc__).startswith(text)]
    assert operation.described["summary"][-1].isalpha()
    assert len(operation.described["tags"]) == 1


@of_each_operation
def test_its_problems_are_described(operation: Operation):
    statuses = {status for status, _, _ in operation.responses()}

    assert {"400", "401", "403", "406", "429", "500", "503"} <= statuses
    names_an_object = "{" in operation.path or operation.id == "batchPeriodicTask"
    assert ("404" in statuses) is names_an_object
    assert ("415" in statuses) is (operation.method in {"post", "put", "patch"})
    assert ("409" in statuses) is (operation.method != "get")
    assert ("422" in statuses) is (operation.method == "post")


@of_each_operation
def test_its_headers_are_described(operation: Operation):
    for status, _, response in operation.responses():
        required = {
            name
            for name, header in response["headers"].items()
            if resolved(header).get("required")
        }

        others = {
            "201": {"Location"},
            "202": {"Location"},
            "401": {"WWW-Authenticate"},
            "429": {"Retry-After"},
        }
        is_a_definition = (
            operation.path.endswith("}/")
            or operation.id.startswith("create")
            or operation.id == "getManifest"
        )
        # A dry run is answered with 200, and without.
        tagged = {"200", "304"} if operation.method == "get" else {"201"}
        tag = {"ETag"} if is_a_definition and status in tagged else set()
        assert required == {"X-Request-Id", *others.get(status, ()), *tag}


@of_each_operation
def test_operation_describes_its_rate_limits(operation: Operation):
    found = {
        status
        for status, _, response in operation.responses()
        if {"RateLimit-Policy", "RateLimit"} <= response["headers"].keys()
    }

    assert found == {
        "429",
        *(status for status, _, _ in operation.responses() if status < "4"),
    }


@of_each_operation
def test_operation_requires_a_key(operation: Operation):
    (scheme,) = DOCUMENT["components"]["securitySchemes"].values()
    responses = {status: response for status, _, response in operation.responses()}

    assert operation.described["security"] == [{"ApiKey": []}]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for status in ("401", "403"):
        assert "WWW-Authenticate" in responses[status]["headers"]


@of_each_operation
def test_post_takes_an_idempotency_key(operation: Operation):
    taken = {parameter["name"] for parameter in operation.parameters()}
    found = {
        status
        for status, _, response in operation.responses()
        if "Idempotent-Replayed" in response["headers"]
    }

    is_post = operation.method == "post"
    assert ("Idempotency-Key" in taken) is is_post
    # A dry run has no effect that a repeat could double: where it alone is answered with 200,
    # that is never replayed.
    statuses = {status for status, _, _ in operation.responses() if is_post and status < "3"}
    assert found == (statuses - {"200"} if statuses & {"201", "202"} else statuses)


@of_each_operation
def test_examples_of_bodies_are_valid(operation: Operation):
    for place, content in operation.contents():
        examples = examples_of(content)

        assert examples, f"{place} has no example"
        for name, example in examples.items():
            errors = contract().errors_of(example, f"{place}/schema")
            assert not errors, f"{name} at {place}: {errors}"


# --- Components -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", REQUESTS)
def test_request_has_no_fields_but_these(name: str):
    request = closed = REQUESTS[name]
    while "allOf" in closed:
        closed = resolved(closed["allOf"][0])

    assert closed["additionalProperties"] is False
    assert fields_of(request).keys() == closed["properties"].keys()


@pytest.mark.parametrize("name", REQUESTS)
def test_request_is_no_union_of_types(name: str):
    # From these keywords beside `properties`, generators of clients make a union without fields.
    assert not {"oneOf", "anyOf"} & REQUESTS[name].keys()


@pytest.mark.parametrize("name", [name for name in REQUESTS if name.startswith("Patched")])
def test_change_requires_no_field(name: str):
    assert not required_in(REQUESTS[name])


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_has_no_keyword_default(name: str):
    # Some generators require a field that has it; others send the default themselves.
    fields = fields_of(SCHEMAS[name])

    assert not [field for field, schema in fields.items() if "default" in schema]


@pytest.mark.parametrize(
    ("name", "field", "default"),
    [
        ("PeriodicTaskRequest", "enabled", "true"),
        ("PeriodicTaskRequest", "jitter_seconds", "0"),
        ("PeriodicTaskRequest", "misfire", "run_once"),
        ("NamedPeriodicTaskRequest", "max_attempts", "1"),
        ("CrontabScheduleRequest", "minute", "*"),
        ("PreviewRequest", "count", "10"),
    ],
)
def test_description_names_the_default(name: str, field: str, default: str):
    description = fields_of(SCHEMAS[name])[field]["description"]

    assert description.endswith(f" Default: `{default}`.")
    patched = fields_of(SCHEMAS.get(f"Patched{name}", {}))
    assert field not in patched or "Default" not in patched[field]["description"]


@of_each_operation
def test_description_is_one_text(operation: Operation):
    texts = [operation.described["description"]]
    texts += [parameter["description"] for parameter in operation.parameters()]

    assert [text for text in texts if text != text.strip()] == []


HEARTBEAT = {
    "name": "Heartbeat",
    "task": "project.tasks.heartbeat",
    "schedule": {"type": "interval", "every": 1, "period": "hours"},
}


@pytest.mark.parametrize(
    ("collection", "schema", "body", "status"),
    [
        ("periodic-tasks", "PeriodicTaskRequest", HEARTBEAT | sent, status)
        for sent, status in (
            ({"labels": {"team": "ops"}}, 201),
            ({"labels": {"Team": "ops"}}, 400),
            ({"labels": {"team": 7}}, 400),
            ({"labels": {"team": "x" * 201}}, 400),
            ({"labels": {f"team-{number}": "ops" for number in range(33)}}, 400),
            ({"headers": {"X-Tenant": "acme"}}, 201),
            ({"headers": {"tenant": ["acme", 7]}}, 201),
            ({"headers": {"": "a"}}, 400),
            ({"crontab": 0}, 400),
        )
    ]
    + [
        ("crontab-schedules", "CrontabScheduleRequest", body, status)
        for body, status in (
            ({"expression": "0 7 * * *", "timezone": "UTC"}, 201),
            ({"minute": "0", "hour": "7", "timezone": "UTC"}, 201),
            ({"expression": "0 7 * * *", "hour": "7"}, 400),
        )
    ]
    + [("periodic-tasks/batch", "BatchRequest", {"operations": []}, 400)],
)
def test_request_is_taken_where_its_schema_takes_it(
    api: ContractClient, collection: str, schema: str, body: object, status: int
):
    assert api.post(f"/api/v1/{collection}/", body).status_code == status

    errors = contract().errors_of(body, f"#/components/schemas/{schema}")
    assert bool(errors) is (status == 400)


@pytest.mark.parametrize("name", REQUESTS)
def test_field_that_may_be_null_is_optional(name: str):
    fields = fields_of(REQUESTS[name])
    nullable = {field for field, schema in fields.items() if "null" in schema.get("type", ())}

    assert not nullable & required_in(REQUESTS[name])


@pytest.mark.parametrize("name", sorted(SCHEMAS.keys() - REQUESTS.keys()))
def test_answer_has_all_of_its_fields(name: str):
    schema = SCHEMAS[name]
    # Slots are in the answer to a dry run only.
    required = required_in(schema)
    optional = {"used_by"} if name == "Problem" else {"upcoming"} - required

    assert fields_of(schema).keys() - optional == required


@pytest.mark.parametrize("name", SCHEMAS)
def test_its_fields_are_explained(name: str):
    fields = fields_of(SCHEMAS[name])

    unexplained = [field for field, schema in fields.items() if "description" not in schema]
    assert unexplained in ([], ["results"])


@pytest.mark.parametrize(("name", "suffix"), [("Schedule", ""), ("ScheduleRequest", "Request")])
def test_type_distinguishes_schedules(name: str, suffix: str):
    schema = SCHEMAS[name]
    mapping = schema["discriminator"]["mapping"]
    components = {kind: f"Inline{kind.capitalize()}{suffix}" for kind in KINDS}

    assert schema["discriminator"]["propertyName"] == "type"
    assert mapping == {
        kind: f"#/components/schemas/{component}" for kind, component in components.items()
    }
    assert sorted(reference["$ref"] for reference in schema["oneOf"]) == sorted(mapping.values())
    for kind, component in components.items():
        assert fields_of(SCHEMAS[component])["type"]["enum"] == [kind]
        assert "type" in required_in(SCHEMAS[component])


def test_document_stays_small():
    limit = MAX_BYTES_PER_OPERATION * len(OPERATIONS)

    assert len(TEXT.encode()) <= limit, "share components, or write shorter descriptions"


def test_every_component_is_used():
    components = {
        f"#/components/{kind}/{name}"
        for kind, named in DOCUMENT["components"].items()
        for name in named
        if kind != "securitySchemes"
    }
    references = {node["$ref"] for node in everything_in(DOCUMENT) if "$ref" in node}

    assert components == references


def test_no_two_components_are_equal():
    for kind, named in DOCUMENT["components"].items():
        texts = [json.dumps(component, sort_keys=True) for component in named.values()]
        assert len(set(texts)) == len(texts), kind


def test_names_of_components_are_short():
    names = [name for named in DOCUMENT["components"].values() for name in named]

    assert max(map(len, names)) <= MAX_NAME_LENGTH


def test_every_code_of_a_problem_is_listed():
    listed = SCHEMAS["Problem"]["properties"]["code"]["enum"]
    answered = {
        code
        for operation in OPERATIONS
        for status, _, response in operation.responses()
        if status >= "4"
        for content in response["content"].values()
        for code in content["examples"]
    }

    assert listed == sorted(set(listed))
    assert {*answered, "method_not_allowed"} <= set(listed)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in listed)


# --- Webhook messages -------------------------------------------------------------------

MESSAGES = DOCUMENT["webhooks"]


def test_each_message_is_described():
    assert MESSAGES.keys() == {*RunEvent.Kind.values, "webhook.ping"}


@pytest.mark.parametrize("kind", MESSAGES)
def test_message_has_an_example_that_is_valid(kind: str):
    place = f"#/webhooks/{kind}/post/requestBody/content/application~1json"
    content = MESSAGES[kind]["post"]["requestBody"]["content"]["application/json"]

    [example] = examples_of(content).values()

    assert example["type"] == kind
    assert not contract().errors_of(example, f"{place}/schema")


@pytest.mark.django_db
@pytest.mark.parametrize("kind", RunEvent.Kind.values)
def test_message_agrees_with_the_document(kind: str):
    owner = account()
    webhook_of(owner)
    store_event(
        task_of(owner), kind, error_type="RuntimeError", error_message="Connection refused"
    )
    fan_out(now=NOON)
    message = json.loads(Delivery.objects.get().payload)
    content = MESSAGES[kind]["post"]["requestBody"]["content"]["application/json"]

    place = f"#/webhooks/{kind}/post/requestBody/content/application~1json/schema"
    assert not contract().errors_of(message, place)
    [example] = examples_of(content).values()
    assert [*message["data"]] == [*example["data"]]


@pytest.mark.parametrize("kind", MESSAGES)
def test_headers_of_a_message_are_described(kind: str):
    headers = {resolved(parameter)["name"] for parameter in MESSAGES[kind]["post"]["parameters"]}

    assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
