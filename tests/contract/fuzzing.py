"""Hooks that Schemathesis loads into its own process.

Schemathesis knows only openapi.yaml. Without hooks it would delete its own account or key and get
401 for the rest of the run, and most of its requests would be refused for the same few reasons.
"""

import re
from collections.abc import Mapping
from itertools import count
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree

# Operations that could delete the fuzzer's own account or key, which are the first on a new
# database, or the webhook of webhook.json with its one delivery.
FATAL = {
    "/api/v1/service-accounts/{id}/",
    "/api/v1/api-keys/{id}/revoke/",
    "/api/v1/webhooks/{id}/",
}

# The only run, of run.json: no request creates another, and its id cannot be guessed.
THE_RUN = "0b0f6a0e-6a5c-5d5e-9a3b-0d9f5b8f7c11"

# In every second body these fields have an existing value or are left out: no schema lists the
# existing tasks, queues, zones and rows.
KNOWN: dict[str, Any] = {
    "task": "project.tasks.heartbeat",
    "timezone": "Europe/Berlin",
    "expression": "30 7 * * mon-fri",
    "url": "https://8.8.8.8/hook",
    "label": "team=billing",
}
EVERY_HOUR = {"type": "interval", "every": 1, "period": "hours"}
UNKNOWN = {
    *("args", "kwargs", "queue", "queues", "exchange", "routing_key"),
    *("interval", "crontab", "solar", "clocked"),
}

# Codes of mistakes that no schema can express.
BEYOND_THE_SCHEMA = {
    # Existing objects and the caller's permissions.
    "unregistered_task",
    "unknown_queue",
    "unknown_zone",
    "does_not_exist",
    "not_found",
    "not_allowed",
    # The catalogue, not the schema, describes the arguments of each task.
    "missing_argument",
    "unexpected_argument",
    "invalid_argument",
    "reserved_object",
    "redacted",
    "too_large",
    # Relations of two values: two ends, two schedules, a day and a month, a number and its unit, a
    # jitter and its schedule.
    "ambiguous",
    "not_one_off",
    "not_the_address",
    "empty_range",
    "range_too_long",
    "interval_out_of_range",
    "longer_than_gap",
    "never_fires",
    "duplicate_name",
    # A generated tag in `if_match` of an operation.
    "revision_mismatch",
    # The calendar and the clock.
    "never_due",
    "in_the_past",
    "in_the_future",
    "too_early",
    "too_many_slots",
    "overflow",
    # The grammar of a crontab, which a pattern describes only roughly.
    "malformed",
    "out_of_range",
    "step_out_of_range",
    "wrong_number_of_fields",
    "unknown_macro",
    "reboot",
    # The grammar of URLs and labels, and the addresses of a host.
    "invalid_url",
    "invalid_label",
    "address_not_allowed",
    # Reserved names of headers, and what AMQP cannot carry.
    "invalid_header",
    # Blank texts and texts with NUL: a pattern for them would replace the other patterns.
    "blank",
    "unstorable_character",
    "null_characters_not_allowed",
    # Names: the categories of Unicode, and what a URL cannot carry.
    "invisible",
    "dot_segment",
}

MAX_WAIT = 60  # seconds
MAX_QUERY_LENGTH = 8000  # of a line of 8190

numbers = count(1)
keys_sent: set[str] = set()
rehearsals: set[str] = set()


@schemathesis.hook
def before_call(_: Any, case: schemathesis.Case, __: dict[str, Any]) -> None:
    """Change a request that would lead nowhere; the checks see the request as it is sent."""
    number, is_tails = next(numbers), toss(case)
    mend_the_address(case)
    mend_the_tags(case)
    spare_the_fuzzer(case)
    take_a_new_key(case, number)
    wait_a_second(case)
    if is_tails:
        case.query.pop("dry_run", None)
        if isinstance(case.body, dict | list):  # else there may be none
            case.body = made_known(case.body)
    if is_tails and case.path.endswith("/by-name/{name}/") and isinstance(case.body, dict):
        case.body.pop("name", None)  # the path has it
    elif case.method in {"POST", "PUT"} and isinstance(case.body, dict):
        take_a_new_name(case.body, number)
    if is_tails and "If-Match" in case.headers:
        case.headers["If-Match"] = "*"  # a generated tag matches nothing
    # Together they are always refused: one needs an existing object, the other a new one.
    if {"If-Match", "If-None-Match"} <= set(case.headers):
        del case.headers["If-None-Match" if is_tails else "If-Match"]
    if case.query.get("dry_run"):
        rehearsals.add(case.id)


def toss(case: schemathesis.Case) -> bool:
    """Decide by the shape of a request: Hypothesis ends a phase if a repetition differs.

    Values cannot decide: some, such as ids, come from answers and differ each time.
    """
    names = [
        sorted(part) for part in (case.query, case.headers, case.body) if isinstance(part, Mapping)
    ]
    return bool(crc32(f"{case.method} {case.path} {names}".encode()) % 2)


def mend_the_address(case: schemathesis.Case) -> None:
    """Replace an invalid id, and a query that gunicorn would refuse."""
    # A link from the `instance` of a problem may have "batch" as the id.
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    is_of_a_delivery = case.path.startswith("/api/v1/deliveries/{id}/")
    if is_valid and case.path.startswith("/api/v1/runs/{id}/"):
        case.path_parameters["id"] = THE_RUN
    elif is_valid and (is_of_a_delivery or not str(case.path_parameters.get("id", 1)).isdigit()):
        case.path_parameters["id"] = "1"
    elif case.path_parameters.get("id") == "batch":
        case.path_parameters["id"] = "no-batch"
    if len(urlencode(case.query, doseq=True)) > MAX_QUERY_LENGTH:
        case.query.clear()


def mend_the_tags(case: schemathesis.Case) -> None:
    """Replace the `0` that Schemathesis sends despite the pattern of a tag."""
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    for name in {"If-Match", "If-None-Match"} & set(case.headers):
        if is_valid and case.headers[name] == "0":
            case.headers[name] = '"0"'


def spare_the_fuzzer(case: schemathesis.Case) -> None:
    """Redirect a request that would delete the fuzzer's own account or key to the next id."""
    if case.path in FATAL and case.method != "GET":
        is_own = str(case.path_parameters.get("id")).lstrip("0") == "1"
        case.path_parameters |= {"id": "2"} if is_own else {}


def wait_a_second(case: schemathesis.Case) -> None:
    """Wait for one second instead of a minute: no run ends during the test."""
    seconds = str(case.query.get("wait", ""))
    if seconds.isascii() and seconds.isdigit() and 1 < int(seconds[:9]) <= MAX_WAIT:
        case.query["wait"] = "1"


def take_a_new_key(case: schemathesis.Case, number: int) -> None:
    """Use a new Idempotency-Key for each request, as a client does; a used one is refused."""
    key = case.headers.get("Idempotency-Key", "")
    if key in keys_sent and re.fullmatch("[!-~]{1,255}", key):
        key = case.headers["Idempotency-Key"] = f"{number}-{key}"[:255]
    keys_sent.add(key)


def take_a_new_name(body: dict[str, Any], number: int) -> None:
    """Make unique values unique, so that an object can be created again."""
    match body:
        case {"name": str(name)} if 0 < len(name) < 90:
            body["name"] = f"{name}-{number}"
        case {"longitude": int() | float() as longitude} if 0 <= longitude <= 90:
            body["longitude"] = longitude + number / 1000


def made_known(value: Any) -> Any:
    """Return a body with existing values, and without fields that need unknown ones."""
    match value:
        case dict():
            return {
                name: known(name, inner) for name, inner in value.items() if name not in UNKNOWN
            }
        case list():
            return [made_known(inner) for inner in value]
    return value


def known(name: str, value: Any) -> Any:
    """Return the value of a field, or an existing one."""
    if name == "schedule" and value is None:
        return EVERY_HOUR
    return KNOWN.get(name) or made_known(value)


@schemathesis.hook
def filter_failure(
    _: Any, failure: Failure, case: schemathesis.Case, response: schemathesis.Response
) -> bool:
    """Return whether a failure counts: no schema expresses every rule of a request."""
    match failure:
        case RejectedPositiveData():
            return not is_beyond_the_schema(response)
        case AcceptedNegativeData():
            # If-Match refused it before the body was read. Schemathesis does not list 412.
            return bool(response.status_code != 412)
        case UseAfterFree():
            # The object was deleted only in a dry run.
            return failure.deleted_case_id not in rehearsals
    return True


def is_beyond_the_schema(response: schemathesis.Response) -> bool:
    """Return whether only the service could know the reason of a refusal."""
    if response.headers["content-type"] != ["application/problem+json"]:
        return False
    problem = response.json()
    if problem["code"] == "revision_mismatch":
        return True  # a generated tag in If-Match, or If-None-Match of an existing object
    return bool(problem["errors"]) and all(
        mistake["code"] in BEYOND_THE_SCHEMA or is_opaque(mistake) or lacks_schedule(mistake)
        for mistake in problem["errors"]
    )


def is_opaque(mistake: dict[str, str]) -> bool:
    """Return whether a generated cursor was refused: cursors are signed."""
    return mistake.get("parameter") == "cursor"


def lacks_schedule(mistake: dict[str, str]) -> bool:
    """Return whether the schedule is missing: one of five fields must have it.

    A schema would need `anyOf` over the whole body, from which client generators make as many
    types.
    """
    is_schedule = mistake.get("pointer", "").endswith("/schedule")
    return is_schedule and mistake["code"] == "required"
