"""The view of unknown URLs under the API."""

from typing import Any

from rest_framework.request import Request
from rest_framework.views import APIView

from scheduler_api.http.problems import NotFound


class UnknownPath(APIView):
    """Return a problem for every URL under the API without a route.

    Django's 404 would be an HTML page while DEBUG is on. Like all views, this one requires a key
    first, so that callers without one learn nothing about routes.
    """

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse every method with 404."""
        self.perform_authentication(request)
        raise NotFound
