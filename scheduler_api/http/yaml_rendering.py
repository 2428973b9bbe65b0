"""YAML answers: block style and no folded lines, so that a diff shows what changed.

What is written is read alike by YAML 1.1 and 1.2: a string that one of them could take for
something else is in quotes.
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

# What is written as an escape: what our parser demands, and what libyaml does not write otherwise,
# tabs and the characters above U+FFFF.
ESCAPED = re.compile("[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
# A letter, and then nothing that could end the scalar, or begin a comment. Whatever YAML 1.1 or
# 1.2 reads as something else does not start with a letter, but for a few words.
PLAIN = re.compile(r"""[^\W\d](?:[\w./+*@%=,;()$~^<>|!?&'"-]|:(?=[\w/])|[ ](?=[\w(]))*""")
WORDS = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
# Several lines, the first and the last not empty, and no space at their ends to get lost.
LITERAL = re.compile(r"\S(.*\S)?(\n+.*\S)+\n?")
UNBOUNDED = 2**31 - 1  # an int of C's


class YAMLRenderer(BaseRenderer):
    """Write what JSONRenderer writes, as YAML; a problem stays JSON, as its media type says."""

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
    """How a dumper of PyYAML's is to write strings, and that it writes no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        """Write out again what is the same object."""
        return True

    def represent_str(self, data: str) -> ScalarNode:
        """Write a string in the style that keeps it a string."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style_of(data))


Styles.add_representer(str, Styles.represent_str)
# libyaml where PyYAML was built with it; both are tested. They differ only in which keys they mark
# with "? ", of those that are empty, long or with a carriage return, and in "..." after a document
# that is one word or number.
DUMPER: Any = type("Dumper", (Styles, getattr(yaml, "CSafeDumper", yaml.SafeDumper)), {})


def to_yaml(document: object) -> str:
    """Write a JSON document, its keys in the order that they have."""
    written: str = yaml.dump(
        document,
        Dumper=DUMPER,
        default_flow_style=False,
        sort_keys=False,
        allow_unicode=True,
        width=UNBOUNDED,
    )
    return written


def style_of(text: str) -> str | None:
    """Choose plain (None), a literal block, or double quotes."""
    if ESCAPED.search(text):
        return '"'
    if PLAIN.fullmatch(text) and text.lower() not in WORDS:
        return None
    return "|" if LITERAL.fullmatch(text) else '"'
