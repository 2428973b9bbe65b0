"""YAML responses: block style without folded lines, so that a diff shows the changes.

YAML 1.1 and 1.2 read the output alike: a string that one of them could read as another type is
quoted.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml
from rest_framework.renderers import BaseRenderer
from yaml.nodes import ScalarNode
from yaml.representer import SafeRepresenter

from scheduler_api.http.rendering import JSONRenderer
from scheduler_api.http.yaml_parsing import MEDIA_TYPE

# Characters written as escapes: our parser requires it of some; libyaml cannot write tabs and
# characters above U+FFFF otherwise.
ESCAPED = re.compile("[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
# A letter, then no character that could end the scalar or begin a comment. Except for a few words,
# no scalar that YAML 1.1 or 1.2 reads as another type starts with a letter.
PLAIN = re.compile(r"""[^\W\d](?:[\w./+*@%=,;()$~^<>|!?&'"-]|:(?=[\w/])|[ ](?=[\w(]))*""")
WORDS = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
# Several lines, the first and the last not empty, without trailing spaces, which would be lost.
LITERAL = re.compile(r"\S(.*\S)?(\n+.*\S)+\n?")
MAX_LINE_WIDTH = 2**31 - 1  # the maximum of a C int


class YAMLRenderer(BaseRenderer):
    """Render the output of JSONRenderer as YAML; a problem stays JSON, as its media type says."""

    media_type = MEDIA_TYPE
    format = "yaml"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body."""
        response = (renderer_context or {}).get("response")
        body = JSONRenderer().render(data)
        if not body or getattr(response, "exception", False):
            return body
        return to_yaml(json.loads(body)).encode()


class Styles(SafeRepresenter):
    """A mixin for PyYAML's dumpers: string styles, no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        """Write an object again instead of an alias to it."""
        return True

    def represent_str(self, data: str) -> ScalarNode:
        """Write a string in a style that keeps it a string."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style_of(data))


Styles.add_representer(str, Styles.represent_str)
# libyaml if PyYAML was built with it; both are tested. They differ only in the keys that they mark
# with "? " among empty and long ones and those with a carriage return, and in "..." after a
# document of one word or number.
DUMPER: Any = type("Dumper", (Styles, getattr(yaml, "CSafeDumper", yaml.SafeDumper)), {})


def to_yaml(document: object) -> str:
    """Write a JSON document, with its keys in their order."""
    written: str = yaml.dump(
        document,
        Dumper=DUMPER,
        default_flow_style=False,
        sort_keys=False,
        allow_unicode=True,
        width=MAX_LINE_WIDTH,
    )
    return written


def style_of(text: str) -> str | None:
    """Return the style of a string: plain (None), literal block or double-quoted."""
    if ESCAPED.search(text):
        return '"'
    if PLAIN.fullmatch(text) and text.lower() not in WORDS:
        return None
    return "|" if LITERAL.fullmatch(text) else '"'
