"""The pages made from openapi.yaml, each with what its own scripts and styles need."""

from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView

from scheduler_api.http.middleware import SafeHeadersMiddleware

POLICY = "Content-Security-Policy"
# Both put styles into the page while they run.
STYLED = f"{SafeHeadersMiddleware.HEADERS[POLICY]}; style-src 'self' 'unsafe-inline'"


class SwaggerPage(SpectacularSwaggerSplitView):
    """Swagger UI; its script comes from an address of its own, not from within the page."""

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Allow the styles."""
        return {**super().default_response_headers, POLICY: STYLED}


class RedocPage(SpectacularRedocView):
    """Redoc, which searches in a worker that it makes itself."""

    template_name = "redoc.html"

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Allow the styles and the worker."""
        return {**super().default_response_headers, POLICY: f"{STYLED}; worker-src blob:"}
