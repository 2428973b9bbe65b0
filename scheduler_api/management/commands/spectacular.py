"""`spectacular` of drf-spectacular, which writes openapi.yaml as it is served."""

from drf_spectacular.management.commands import spectacular

from scheduler_api.openapi.rendering import CompactYamlRenderer


class Command(spectacular.Command):
    """Overrides the renderer alone."""

    def get_renderer(self, format: str) -> CompactYamlRenderer:  # noqa: A002 - of the base class
        """Return the renderer of `/openapi.yaml`."""
        return CompactYamlRenderer()
