"""The WSGI application: Django's, with requests that no header can break."""

from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


class Utf8Request(WSGIRequest):
    """A request whose query string is UTF-8, whatever charset its body names.

    Django decodes the query string by the charset of `Content-Type`, before any middleware. The
    codecs that are not for text, such as `hex`, and malformed parameters ended in a 500 in HTML.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        """Override the base class, which also sets `self.encoding`."""
        header = meta.get("CONTENT_TYPE", "")
        try:
            self.content_type, self.content_params = parse_header_parameters(header)
        except ValueError:
            # The parser of the view refuses it, with the media types that it accepts.
            meta["CONTENT_TYPE"] = self.content_type = header.partition(";")[0].strip().lower()
            self.content_params = {}
        self.content_params.pop("charset", None)


class Application(WSGIHandler):
    """Django's application with our class of requests."""

    request_class = Utf8Request


def get_application() -> Application:
    """Set Django up, and return the application."""
    django.setup(set_prefix=False)
    return Application()
