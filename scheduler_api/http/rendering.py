"""JSON responses."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from rest_framework import renderers


class JSONRenderer(renderers.JSONRenderer):
    """Render as REST framework's renderer does, in less than half the time."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body; leave rare documents to REST framework."""
        if data is not None and "indent" not in (accepted_media_type or ""):
            try:
                return to_json(data, inf_nan_mode="null")
            except PydanticSerializationError:  # too deeply nested, or an unknown type
                pass
        text: bytes = super().render(data, accepted_media_type, renderer_context)
        return text
