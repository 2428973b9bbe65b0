"""Description of API keys in the OpenAPI document."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from scheduler_api.access.authentication import BearerAuthentication


class BearerScheme(OpenApiAuthenticationExtension):
    """The security scheme of API keys in the OpenAPI document."""

    target_class = BearerAuthentication
    name = "ApiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """Return the security scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "API key of a service account: `sk_…`.",
        }
