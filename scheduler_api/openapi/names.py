"""Names of the components that operations share."""

import re
from collections.abc import Collection
from typing import Any

from scheduler_api.http.idempotency import InvalidIdempotencyKey, RequestInFlight
from scheduler_api.http.problems import ValidationFailed

ROOT = "/api/v1/"
OF_A_POST = {InvalidIdempotencyKey.code, RequestInFlight.code}

# By status: the reason phrase (RFC 9110, RFC 6585), without what is needless in it.
STATUSES = {
    "2XX": "Success",
    "204": "NoContent",
    "304": "NotModified",
    "400": "BadRequest",
    "401": "Unauthorized",
    "403": "Forbidden",
    "404": "NotFound",
    "406": "NotAcceptable",
    "409": "Conflict",
    "410": "Gone",
    "411": "LengthRequired",
    "412": "PreconditionFailed",
    "413": "ContentTooLarge",
    "415": "UnsupportedMediaType",
    "422": "UnprocessableContent",
    "428": "PreconditionRequired",
    "429": "TooManyRequests",
    "500": "ServerError",
    "503": "Unavailable",
    "default": "Failure",
}


def camel(name: str) -> str:
    """Turn `periodic task`, `run_now` or `page-size` into `PeriodicTask`, `RunNow`, `PageSize`."""
    return "".join(word.capitalize() for word in re.split(r"[ _-]", name))


def response_name(status: str, response: dict[str, Any], general: Collection[str]) -> str:
    """Return the name of a shared response: its status, or the schema of a success.

    If operations answer with different problems under one status, the name continues with the
    first code that is not `general`, and with the kind of request.
    """
    bodies: list[Any] = [*response.get("content", {}).values(), {}]
    name = STATUSES.get(status)
    if name is None:
        return name_of_success(response, bodies[0]["schema"])
    codes = list(bodies[0].get("examples", ()))
    if len(codes) <= 1:
        return name
    special = next((camel(code) for code in codes if code not in general), "")
    kind = "OnChange" if ValidationFailed.code in codes else ""
    return f"{name}{special}{'OnPost' if {*codes} & OF_A_POST else kind}"


def name_of_success(response: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return the name of the schema, marked where the response follows a change."""
    name: str = schema["$ref"].rpartition("/")[2]
    etag = response.get("headers", {}).get("ETag", {}).get("$ref", "")
    return f"Changed{name}" if etag.endswith("IfStored") else name


def parameter_name(
    parameter: dict[str, Any], paths: Collection[str], tags: Collection[str]
) -> str:
    """Return the name of a shared parameter: its own, behind that of the one resource it is of."""
    name = camel(parameter["name"])
    if not all(path.startswith(ROOT) for path in paths):
        return f"{name}Header"  # of a webhook message
    collections = {path.removeprefix(ROOT).partition("/")[0] for path in paths}
    for groups in (collections, {*tags}):
        if len(groups) == 1:
            return f"{singular(*groups)}{name}"
    return name


def singular(name: str) -> str:
    """Turn `periodic-tasks` into `PeriodicTask`, `deliveries` into `Delivery`."""
    return re.sub("ies$", "y", camel(name)).removesuffix("s")
