"""Conditional requests (RFC 9110, section 13): nobody overwrites what they have not seen.

An ETag is a hash of a definition: of all that its writers wrote, whoever they are, and of
nothing that beat notes while it runs.
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
    """It was changed since you read it."""

    status_code = 412
    code = "revision_mismatch"
    example = {
        "detail": "Read it again, and send the ETag of that answer as If-Match.",
        "instance": "/api/v1/periodic-tasks/1/",
    }


class PreconditionRequired(Problem):
    """A change must say which revision it is for."""

    status_code = 428
    code = "precondition_required"
    example = {
        "detail": "Send the ETag of the answer that you read as If-Match.",
        "instance": "/api/v1/periodic-tasks/1/",
    }


def etag_of(definition: Mapping[str, object]) -> str:
    """Return the strong entity tag of a definition, quotes included."""
    text = json.dumps(definition, sort_keys=True, default=str)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def refuse_unreadable_tags(request: Request) -> None:
    """Raise BadRequest where a precondition cannot be read, rather than pass it over.

    Of a change, `If-None-Match` can only ask that there be none yet.
    """
    for name in ("If-Match", "If-None-Match"):
        text = request.headers.get(name, ANY)
        takes_tags = name == "If-Match" or request.method in SAFE_METHODS
        if text == ANY or (takes_tags and re.fullmatch(TAGS, text)):
            continue
        what = f"{ANY}, or entity tags with their quotes, as in the header ETag"
        raise BadRequest(f"{name} takes {what if takes_tags else f'nothing but {ANY} here'}.")


def expects_revision(request: Request) -> bool:
    """Tell whether the caller says which revision the change is for.

    Raise PreconditionRequired where the setting asks for it and he does not.
    """
    if "If-Match" in request.headers:
        return True
    if settings.REQUIRE_IF_MATCH and request.method != "POST":
        raise PreconditionRequired("Send the ETag of the answer that you read as If-Match.")
    return False


def refuse_stale(request: Request, etag: str) -> None:
    """Raise RevisionMismatch unless `If-Match` has this tag."""
    if not {ANY, etag} & tags(request, "If-Match"):
        raise RevisionMismatch("Read it again, and send the ETag of that answer as If-Match.")


def refuse_existing(request: Request) -> None:
    """Raise RevisionMismatch where `If-None-Match: *` asks that there be none yet."""
    if ANY in tags(request, "If-None-Match"):
        raise RevisionMismatch("There is one already, and If-None-Match asks for a new one.")


def refuse_missing(request: Request) -> None:
    """Raise RevisionMismatch where `If-Match` asks for one that is there."""
    if "If-Match" in request.headers:
        raise RevisionMismatch("There is none yet, and If-Match asks for one that is there.")


def is_unchanged(request: Request, etag: str) -> bool:
    """Tell whether `If-None-Match` has this tag, so that the caller has the answer already."""
    known = tags(request, "If-None-Match")
    return ANY in known or etag in {tag.removeprefix("W/") for tag in known}


def tags(request: Request, name: str) -> set[str]:
    """Return the entity tags in a header."""
    text = request.headers.get(name, "")
    return {ANY} if text == ANY else set(re.findall(TAG, text))
