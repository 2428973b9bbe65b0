"""Conditional requests (RFC 9110, section 13), which prevent lost updates.

An ETag is a hash of a definition: of every field that a writer can set, whether over the API or
not, and of no field that beat updates while it runs.
"""

import hashlib
import json
import re
from collections.abc import Mapping

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from scheduler_api.http.problems import BadRequest, Problem

ANY = "*"
TAG = r'(?:W/)?"[!#-~]*"'
TAGS = rf"{TAG}(?:[ \t]*,[ \t]*{TAG})*"


class RevisionMismatch(Problem):
    """The object does not match the precondition of the request."""

    status_code = 412
    code = "revision_mismatch"
    example = {
        "detail": "Read it again, and send the ETag of that response as If-Match.",
        "instance": "/api/v1/periodic-tasks/1/",
    }


class PreconditionRequired(Problem):
    """A change requires If-Match."""

    status_code = 428
    code = "precondition_required"
    example = {
        "detail": "Send the ETag of the response that you read as If-Match.",
        "instance": "/api/v1/periodic-tasks/1/",
    }


def etag_of(definition: Mapping[str, object]) -> str:
    """Return the strong entity tag of a definition, quotes included."""
    text = json.dumps(definition, sort_keys=True, default=str)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def refuse_invalid_tags(request: Request) -> None:
    """Raise BadRequest for a precondition that cannot be parsed, instead of ignoring it.

    For a change, `If-None-Match` can only be `*`: the object must not exist.
    """
    for name in ("If-Match", "If-None-Match"):
        text = request.headers.get(name, ANY)
        takes_tags = name == "If-Match" or request.method in SAFE_METHODS
        if text == ANY or (takes_tags and re.fullmatch(TAGS, text)):
            continue
        accepted = f"{ANY}, or entity tags with their quotes, as in the header ETag"
        raise BadRequest(
            f"{name} accepts {accepted if takes_tags else f'only {ANY} for a change'}."
        )


def expects_revision(request: Request) -> bool:
    """Return whether the request has If-Match.

    Raise PreconditionRequired if it has not and the setting REQUIRE_IF_MATCH is on.
    """
    if "If-Match" in request.headers:
        return True
    if settings.REQUIRE_IF_MATCH and request.method != "POST":
        raise PreconditionRequired("Send the ETag of the response that you read as If-Match.")
    return False


def refuse_stale(request: Request, etag: str) -> None:
    """Raise RevisionMismatch unless `If-Match` contains this tag."""
    if not {ANY, etag} & tags(request, "If-Match"):
        raise RevisionMismatch("Read it again, and send the ETag of that response as If-Match.")


def refuse_existing(request: Request) -> None:
    """Raise RevisionMismatch if `If-None-Match: *` forbids the existing object."""
    if ANY in tags(request, "If-None-Match"):
        raise RevisionMismatch(
            "The object exists already, and If-None-Match requires a new one. Omit the header to "
            "change the object."
        )


def refuse_missing(request: Request) -> None:
    """Raise RevisionMismatch if `If-Match` requires the missing object."""
    if "If-Match" in request.headers:
        raise RevisionMismatch(
            "The object does not exist, and If-Match requires one. Remove the header to create it."
        )


def is_unchanged(request: Request, etag: str) -> bool:
    """Return whether `If-None-Match` contains this tag, so that 304 suffices."""
    known = tags(request, "If-None-Match")
    return ANY in known or etag in {tag.removeprefix("W/") for tag in known}


def tags(request: Request, name: str) -> set[str]:
    """Return the entity tags in a header."""
    text = request.headers.get(name, "")
    return {ANY} if text == ANY else set(re.findall(TAG, text))
