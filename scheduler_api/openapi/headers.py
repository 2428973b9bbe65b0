"""Headers in the OpenAPI document: each described once, as a component."""

import re
from typing import Any

from drf_spectacular.utils import OpenApiParameter

from scheduler_api.http import etags, idempotency

TEXT = {"type": "string"}
URI = {"type": "string", "format": "uri"}
ETAG = {
    "description": "Version of the resource, for `If-Match` and `If-None-Match`.",
    "required": True,
    "schema": TEXT,
    "example": '"8c6744c9d42ec2cb9e8885b54ff744d0"',
}
RETRY_AFTER = {
    "description": "Number of seconds to wait before the next attempt.",
    "required": True,
    "schema": {"type": "integer"},
}
CHALLENGE = {"type": "string", "pattern": "^Bearer"}
# By name of the component.
COMPONENTS: dict[str, dict[str, Any]] = {
    "RequestId": {
        "description": "ID of the request: the `X-Request-Id` that you sent, or a new one.",
        "required": True,
        "schema": {"type": "string", "maxLength": 128},
        "example": "6f1c5a52-58b2-4f0d-8d0c-1f2b7f9f4e1a",
    },
    "RateLimitPolicy": {
        "description": "Quota: `q` requests per `w` seconds, counted per service account, or "
        "per IP address for requests without a valid key. Absent if there is no limit.",
        "schema": TEXT,
        "example": '"account";q=6000;w=60',
    },
    "RateLimit": {
        "description": "Approximate number of requests (`r`) left for the next `t` seconds.",
        "schema": TEXT,
        "example": '"account";r=5950;t=37',
    },
    "Location": {
        "description": "URL of the created resource.",
        "required": True,
        "schema": URI,
    },
    "ExistingLocation": {
        "description": "URL of the resource that the first request created.",
        "schema": URI,
    },
    "ETag": ETAG,
    "ETagIfStored": {
        **ETAG,
        "description": f"{ETAG['description']} Absent in a dry run.",
        "required": False,
    },
    "IdempotentReplayed": {
        "description": "Sent with the stored response to an earlier request with the same "
        "`Idempotency-Key`.",
        "schema": {"type": "string", "const": "true"},
    },
    "RetryAfter": RETRY_AFTER,
    "RetryAfterIfKnown": {**RETRY_AFTER, "required": False},
    "KeyChallenge": {
        "description": "How to send a key, and why the one sent was refused (RFC 6750).",
        "required": True,
        "schema": CHALLENGE,
    },
    "ScopeChallenge": {
        "description": "The scope that the service account lacks (RFC 6750).",
        "schema": CHALLENGE,
    },
}


def header(name: str) -> dict[str, str]:
    """Refer to a header component."""
    assert name in COMPONENTS, name
    return {"$ref": f"#/components/headers/{name}"}


REQUEST_ID = {"X-Request-Id": header("RequestId")}
RATE_LIMITS = {"RateLimit-Policy": header("RateLimitPolicy"), "RateLimit": header("RateLimit")}
OF_EVERY_SUCCESS = {**REQUEST_ID, **RATE_LIMITS}
LOCATION = {"Location": header("Location")}
REPLAYED = {idempotency.REPLAYED: header("IdempotentReplayed")}

IDEMPOTENCY_KEY = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description=(
        "Makes the request safe to repeat: a second request with the same key within 24 hours "
        "has no further effect and gets the response to the first one. Use a new key, such as a "
        "UUID, for each new request."
    ),
)


def condition(header: str, description: str, *, takes_tags: bool = True) -> OpenApiParameter:
    """Describe a request header that makes a request conditional."""
    schema: dict[str, Any] = {"type": "string", "enum": [etags.ANY]}
    if takes_tags:
        # One pattern rather than `anyOf`: client generators drop a header with `anyOf`.
        any_of_all = re.escape(etags.ANY)
        schema = {"type": "string", "pattern": f"^(?:{any_of_all}|{etags.TAGS})$"}
    return OpenApiParameter(header, schema, OpenApiParameter.HEADER, description=description)


IF_MATCH = condition(
    "If-Match", "Applies the change only if the resource still has this ETag; otherwise 412."
)
IF_NONE_MATCH = condition(
    "If-None-Match", "Returns 304 without a body if the resource still has this ETag."
)
IF_NONE_EXISTS = condition(
    "If-None-Match",
    "`*`: creates only; 412 if a periodic task with this name exists.",
    takes_tags=False,
)


def add_headers(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Add the header components; a postprocessing hook of drf-spectacular."""
    result["components"]["headers"] = {name: COMPONENTS[name] for name in sorted(COMPONENTS)}
    return result
