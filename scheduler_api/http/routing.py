"""The address of everything that is not there."""

from typing import Any

from rest_framework.request import Request
from rest_framework.views import APIView

from scheduler_api.http.problems import NotFound


class NothingHere(APIView):
    """Answers at every address under the API that no route takes, with a problem.

    Django's own 404 would be a page of HTML while DEBUG is on. Like all addresses, it asks for a
    key first: a stranger has nothing to try but the key.
    """

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse every method alike."""
        self.perform_authentication(request)
        raise NotFound
