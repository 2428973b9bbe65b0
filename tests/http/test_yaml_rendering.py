"""YAML responses: our parser and other parsers read the same document."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from scheduler_api.http import yaml_parsing, yaml_rendering
from scheduler_api.http.yaml_parsing import parse_yaml, restrict
from scheduler_api.http.yaml_rendering import Styles, YAMLRenderer, to_yaml

DOCUMENT = {
    "periodic_tasks": [
        {
            "name": "nightly",
            "description": "Deletes what is old:\n\n  - mails\n  - files\n\nAsk Jörg first.\n",
            "args": [],
            "kwargs": {"older_than_days": 30, "ratio": 0.5, "dry run": False},
            "schedule": {"type": "crontab", "minute": "0", "hour": "*/3", "zone": "Europe/Berlin"},
            "start_time": "2027-03-28T01:00:00Z",
            "expires": None,
        },
        {"name": "yes", "args": [[1, []], {"a": {}}], "note": "two\nlines", "url": "https://x/y"},
    ]
}
TEXT = """\
periodic_tasks:
- name: nightly
  description: |
    Deletes what is old:

      - mails
      - files

    Ask Jörg first.
  args: []
  kwargs:
    older_than_days: 30
    ratio: 0.5
    dry run: false
  schedule:
    type: crontab
    minute: "0"
    hour: "*/3"
    zone: Europe/Berlin
  start_time: "2027-03-28T01:00:00Z"
  expires: null
- name: "yes"
  args:
  - - 1
    - []
  - a: {}
  note: |-
    two
    lines
  url: https://x/y
"""


def dumper_named(name: str) -> Any:
    if not hasattr(yaml, name):
        pytest.skip("PyYAML was built without libyaml")
    return type(name, (Styles, getattr(yaml, name)), {})


@pytest.fixture(params=["CSafeDumper", "SafeDumper"], autouse=True)
def dumper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Render with libyaml, then with PyYAML's emitter in Python."""
    monkeypatch.setattr(yaml_rendering, "DUMPER", dumper_named(request.param))


def test_document_is_written_in_block_style_with_keys_in_order():
    assert to_yaml(DOCUMENT) == TEXT


def test_long_text_is_not_folded():
    text = "word " * 1000 + "end"

    assert to_yaml({"a": text}) == f"a: {text}\n"


def test_shared_object_is_written_again_without_alias():
    shared = {"b": [1]}

    assert to_yaml([shared, shared]) == "- b:\n  - 1\n" * 2


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Ask Jörg", "Ask Jörg"),
        ("it's", "it's"),
        ("'tis", '"\'tis"'),
        ("Ask Jörg 😀", '"Ask Jörg \\U0001F600"'),
        ("two\nlines\n", "|\n  two\n  lines"),
        ("two\nlines \n", r'"two\nlines \n"'),
        ("two\nlines\n\n", r'"two\nlines\n\n"'),
        ("two\n\tlines", r'"two\n\tlines"'),
        ("two\nlines 😀", r'"two\nlines \U0001F600"'),
        ("two\nli\u2028nes", r'"two\nli\Lnes"'),
        ("𠮷", r'"\U00020BB7"'),
        ("y", '"y"'),
        ("Null", '"Null"'),
        ("012", '"012"'),
        ("0o14", '"0o14"'),
        ("1e3", '"1e3"'),
        ("<<", '"<<"'),
    ],
)
def test_string_that_is_not_plain_is_quoted_or_a_block(text: str, written: str):
    assert to_yaml({"key": text}) == f"key: {written}\n"


@pytest.mark.parametrize("length", [129, 1024, 2000])
def test_long_key_is_written_as_an_explicit_key(length: int):
    key = "k" * length
    document = {key: 1, "b": {key: [1], "c": 2}}

    assert to_yaml(document).startswith(f"? {key}\n: 1\n")
    assert parse_yaml(to_yaml(document).encode()) == document
    assert yaml.safe_load(to_yaml(document)) == document


# Text that YAML 1.1 or 1.2 reads as another type, or as no scalar.
TRAPS = [
    *("", "~", "null", "Null", "true", "FALSE", "yes", "No", "ON", "off", "y", "N"),
    *("5", "-5", "012", "0o14", "0x1F", "0b11", "1_000", "1:30", "1e3", "1.5", ".5", "5.", "+1"),
    *(".inf", "-.inf", ".nan", "2027-03-28", "2027-03-28 01:00:00", "<<", "=", "---", "..."),
    *(
        "a: b",
        "a:",
        "a #b",
        "#a",
        "- a",
        "-",
        "? a",
        "[a",
        "{a",
        "a]",
        ",a",
        "&a",
        "*a",
        "!a",
        "|",
    ),
    *(
        ">",
        "'a",
        '"a',
        "%a",
        "@a",
        "`a",
        " a",
        "a ",
        "a  b",
        "a\tb",
        "a\n",
        "a\nb",
        "\na",
        "a\n\n",
    ),
    *(
        "a \nb",
        " a\nb",
        "a\n b",
        "a\r\nb",
        "a\n\nb",
        "a\n#b",
        "\\",
        "a\\nb",
        "\x07",
        "\x85",
        "\xa0",
    ),
    *("\u2028", "\ufeff", "\ufffe", "é", "日本", "😀", "a\u2028\nb", "a\n\ufeffb", "K\u0301"),
]


@pytest.mark.parametrize("text", TRAPS)
def test_string_of_another_types_form_stays_a_string(text: str):
    for document in ({"a": text}, {text: 1}, [text], [[text]], text):
        written = to_yaml(document)

        assert parse_yaml(written.encode()) == document
        assert yaml.safe_load(written) == document


def test_output_is_identical_without_libyaml(monkeypatch: pytest.MonkeyPatch):
    documents = [DOCUMENT, TRAPS, {text: text for text in TRAPS if text}]
    written = []
    for name in ("CSafeDumper", "SafeDumper"):
        monkeypatch.setattr(yaml_rendering, "DUMPER", dumper_named(name))
        written.append([to_yaml(document) for document in documents])

    assert written[0] == written[1]


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(TRAPS)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
            | st.sampled_from(TRAPS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(documents)
@example([1, 1.0, True, "1", "1.0", "true", 1e17, 1e-7, 1.5e300, -0.0, 10**300])
@example(DOCUMENT)
def test_written_document_is_read_back_unchanged(document: Any):
    written = to_yaml(document)

    for loader in (yaml_parsing.LOADER, restrict(yaml.SafeLoader)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml_parsing, "LOADER", loader)
            # JSON distinguishes 1, 1.0 and true, and -0.0 from 0.0; == does not.
            assert json.dumps(parse_yaml(written.encode())) == json.dumps(document)
    assert json.dumps(yaml.safe_load(written)) == json.dumps(document)


def test_renderer_writes_the_values_of_the_json_renderer():
    # REST framework's dictionaries and tuples are rendered as in JSON.
    assert YAMLRenderer().render({"a": (1, "x")}) == b"a:\n- 1\n- x\n"
    assert YAMLRenderer().render(None) == b""
