"""Swagger UI and Redoc, each with the Content-Security-Policy that it needs."""

from typing import Any

from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.response import Response

from scheduler_api.http.middleware import SafeHeadersMiddleware
from scheduler_api.http.problems import CONTENT_TYPE
from scheduler_api.http.rendering import JSONRenderer

POLICY = "Content-Security-Policy"
# Both add inline styles at run time.
STYLED = f"{SafeHeadersMiddleware.HEADERS[POLICY]}; style-src 'self' 'unsafe-inline'"


class ProblemsAsJson:
    """Answers refusals in JSON, which the renderer of the page would write as text."""

    def handle_exception(self, error: Exception) -> Response:
        """Choose the renderer, and go on."""
        request: Any = self.request  # type: ignore[attr-defined]
        request.accepted_renderer, request.accepted_media_type = JSONRenderer(), CONTENT_TYPE
        response: Response = super().handle_exception(error)  # type: ignore[misc]
        return response


class SwaggerPage(ProblemsAsJson, SpectacularSwaggerSplitView):
    """Swagger UI. Its script has its own address, because the policy forbids inline scripts."""

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Allow the styles."""
        return {**super().default_response_headers, POLICY: STYLED}


class RedocPage(ProblemsAsJson, SpectacularRedocView):
    """Redoc, which searches in a worker that it makes itself."""

    template_name = "redoc.html"

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Allow the styles and the worker."""
        return {**super().default_response_headers, POLICY: f"{STYLED}; worker-src blob:"}
