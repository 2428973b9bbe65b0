"""Bounds on the head of a request, checked before its query and headers are parsed.

Servers have bounds of their own. These hold behind any server: parsing takes time that grows with
the number of parameters and with the length of a header.
"""

from rest_framework.request import Request

from scheduler_api.http.problems import BadRequest, InvalidQuery

MAX_QUERY_LENGTH = 8190
MAX_PARAMETERS = 100
MAX_HEADER_LENGTH = 8190
MAX_HEADERS = 100


def refuse_large_head(request: Request) -> None:
    """Raise InvalidQuery or BadRequest for a head that is too large."""
    query = request.META.get("QUERY_STRING", "")
    if len(query) > MAX_QUERY_LENGTH:
        raise InvalidQuery(f"Send a query string of at most {MAX_QUERY_LENGTH} characters.")
    if query.count("&") >= MAX_PARAMETERS:
        raise InvalidQuery(f"Send at most {MAX_PARAMETERS} query parameters.")
    lengths = [len(str(text)) for name, text in request.META.items() if name.startswith("HTTP_")]
    if len(lengths) > MAX_HEADERS:
        raise BadRequest(f"Send at most {MAX_HEADERS} headers.")
    if max(lengths, default=0) > MAX_HEADER_LENGTH:
        raise BadRequest(f"Send headers of at most {MAX_HEADER_LENGTH} characters each.")
