"""Swagger UI and Redoc, each with the Content-Security-Policy that it needs."""

from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView

from scheduler_api.http.middleware import SafeHeadersMiddleware

POLICY = "Content-Security-Policy"
# Both add inline styles at run time.
STYLED = f"{SafeHeadersMiddleware.HEADERS[POLICY]}; style-src 'self' 'unsafe-inline'"


class SwaggerPage(SpectacularSwaggerSplitView):
    """Swagger UI. Its script has its own address, because the policy forbids inline scripts."""

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
