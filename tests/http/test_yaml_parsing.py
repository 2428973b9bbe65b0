"""YAML bodies: what JSON could have said is read, and the rest is refused where it stands."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scheduler_api.http import yaml_parsing
from scheduler_api.http.problems import MalformedBody
from scheduler_api.http.yaml_parsing import parse_yaml


@pytest.fixture(params=["CBaseLoader", "BaseLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let libyaml scan, and PyYAML's own scanner where it was built without."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yaml_parsing, "LOADER", getattr(yaml, request.param))


def refusal_of(text: str | bytes) -> MalformedBody:
    body = text.encode() if isinstance(text, str) else text
    with pytest.raises(MalformedBody) as refused:
        parse_yaml(body)
    return refused.value


# --- What is read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("true", True),
        ("False", False),
        ("5", 5),
        ("+5", 5),
        ("-5", -5),
        ("0", 0),
        ("-0", 0),
        ("1.0", 1.0),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1.0e+3", 1000.0),
        ("0.1", 0.1),
        ('""', ""),
        ("''", ""),
        ('"1"', "1"),
        ("'true'", "true"),
        ('"a\\tb\\u00e9\\U0001F600"', "a\tbé😀"),
        # What YAML 1.1 reads as something else.
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("1:30", "1:30"),
        ("190:20:30.15", "190:20:30.15"),
        ("2027-03-28", "2027-03-28"),
        ("2027-03-28T01:00:00Z", "2027-03-28T01:00:00Z"),
        ("2027-03-28 01:00:00", "2027-03-28 01:00:00"),
        ("<<", "<<"),
        ("=", "="),
        # What looks like a word or a number.
        ("nULL", "nULL"),
        ("tRUE", "tRUE"),
        ("1.2.3", "1.2.3"),
        ("1e", "1e"),
        ("--", "--"),
        (".", "."),
        ("+", "+"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("0o9", "0o9"),
        ("0xg", "0xg"),
        ("'*/5'", "*/5"),
        ("0 3 * * *", "0 3 * * *"),
    ],
)
def test_a_scalar_is_read_by_the_core_schema(text: str, value: object):
    read = parse_yaml(f"a: {text}".encode())

    assert read == {"a": value}
    assert type(read["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("--- \n", None),
        ("%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
        ("# one\na: 1 # two\n", {"a": 1}),
        ("a: {b: [1, x, {}], c: }", {"a": {"b": [1, "x", {}], "c": None}}),
        ("a:\n- b: 1\n  c: 2\n- - d\n", {"a": [{"b": 1, "c": 2}, ["d"]]}),
        ("a: |\n  b\n   c\n\n  # d\ne: >-\n  f\n  g\n", {"a": "b\n c\n\n# d\n", "e": "f g"}),
        ("'1': a\n\"<<\": b\nyes: c\n? d\n: e\n", {"1": "a", "<<": "b", "yes": "c", "d": "e"}),
    ],
    ids=range(8),
)
def test_a_document_is_read(text: str, document: object):
    assert parse_yaml(text.encode()) == document


def test_json_is_yaml():
    text = '{"a": [1, 1.5, -2e3, true, null, "\\u00e9\\/"], "b": {}}'

    assert json.dumps(parse_yaml(text.encode())) == json.dumps(json.loads(text))


def test_a_document_may_be_nested_32_levels_deep():
    read = parse_yaml(b"[" * 32 + b"]" * 32)

    assert json.dumps(read) == "[" * 32 + "]" * 32


# --- What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        ("a: 012", "Readers differ on this number", "line 1, column 4"),
        ("a:\n  - -007", "Readers differ", "line 2, column 5"),
        ("a: 0o14", "Readers differ", "line 1, column 4"),
        ("a: 0x1F", "Readers differ", "line 1, column 4"),
        ("a: .inf", "no such number in JSON", "line 1, column 4"),
        ("a: -.Inf", "no such number in JSON", "line 1, column 4"),
        ("a: .NaN", "no such number in JSON", "line 1, column 4"),
        ("a: 1\nb: 1e999", "The number 1e999 is too large", "line 2, column 4"),
        ("a: -1e999", "The number -1e999 is too large", "line 1, column 4"),
        ("a: " + "9" * 5000, "too many digits", "line 1, column 4"),
        ("1: a", "A key is a string", "line 1, column 1"),
        ("a: {true: b}", "A key is a string", "line 1, column 5"),
        ("~: a", "A key is a string", "line 1, column 1"),
        ("? \n: a", "A key is a string", "line "),
        ("a: 1\n? [b]\n: c", "A key is a string", "line 2, column 3"),
        ("? {b: 1}\n: c", "A key is a string", "line 1, column 3"),
        ("a: 1\n<<: {b: 1}", "There are no merge keys", "line 2, column 1"),
        ("a: &b 1", "There are no anchors", "line 1, column 4"),
        ("a: &b [1]", "There are no anchors", "line 1, column 4"),
        ("a: 1\nb: *a", "There are no aliases", "line 2, column 4"),
        ("<<: *a", "There are no merge keys", "line 1, column 1"),
        ("a: !!str 1", "There are no tags", "line 1, column 4"),
        ("a: ! 1", "There are no tags", "line 1, column 4"),
        ("!!set {a}", "There are no tags", "line 1, column 1"),
        ("a: !!binary aGk=", "There are no tags", "line 1, column 4"),
        ("!!python/object/apply:os.getcwd []", "There are no tags", "line 1, column 1"),
        ("a: !b [1]", "There are no tags", "line 1, column 4"),
        ("%YAML 1.1\n---\na: yes", "Directives come before it", "line 1, column 1"),
        ("%TAG ! tag:example.com,2000:\n---\na: 1", "Directives", "line 1, column 1"),
        ("a: 1\n---\nb: 2", "There is a second document", "line 2, column 1"),
        ("a: 1\n...\n---\n", "There is a second document", "line 3, column 1"),
        ("[" * 33 + "]" * 33, "more than 32 levels", "line 1, column 33"),
        ("a: b: c", "not YAML: mapping values are not allowed", "line 1, column 5"),
        ("a: @b", "not YAML: found character", "line 1, column 4"),
        ("- a\n b: 1", "not YAML: mapping values", "line 2, column 3"),
        ("\ta: 1", "not YAML: found character", "line 1, column 1"),
        ("a: [1", "not YAML", "line "),
        ("a: 'b", "not YAML: found unexpected end of stream", "line 1, column 6"),
        ('a: "\\x4"', "not YAML", "line 1, column 7"),
        ("a: 1\nb: é\x00", "The character U+0000", "line 2, column 5"),
        ("a: b\x7f", "The character U+007F", "line 1, column 5"),
        ("a: b\x85c", "The character U+0085", "line 1, column 5"),
        ("a: 'b\u2028c'", "The character U+2028", "line 1, column 6"),
        ("a: b\ufeff", "The character U+FEFF", "line 1, column 5"),
        ("a: b\uffff", "The character U+FFFF", "line 1, column 5"),
    ],
)
def test_what_json_cannot_say_is_refused_where_it_stands(text: str, reason: str, place: str):
    detail = refusal_of(text).detail

    assert reason in detail
    assert place in detail


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a: \xff", "not UTF-8: byte 3"),
        ("a: 1".encode("utf-16"), "not UTF-8"),
        (b" \n", "there is no document"),
        (b"# nothing", "there is no document"),
        (b'"\\U7fffffff"', "The body is not YAML"),
        (b'"\\Uffffffff"', "The body is not YAML"),
    ],
)
def test_what_is_no_document_is_refused(body: bytes, reason: str):
    assert reason in refusal_of(body).detail


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("a: 1\nb: 2\na: 3", [("", "duplicate_key", "again at line 3, column 1")]),
        ("a: {b: 1, 'b': 1}", [("/a", "duplicate_key", "again at line 1, column 11")]),
        (
            "a:\n- b: 1\n  b: 2\n  b: 3\nc: {d: , d: }",
            [
                ("/a/0", "duplicate_key", "again at line 3, column 3"),
                ("/c", "duplicate_key", "again at line 5, column 10"),
            ],
        ),
        ('a: ["b\\0"]', [("/a/0", "unstorable_character", "cannot be stored")]),
        ('{"a\\x00": 1}', [("", "unstorable_character", "cannot be stored")]),
    ],
    ids=range(5),
)
def test_what_strict_json_refuses_by_its_pointer_is_refused_likewise(
    text: str, mistakes: list[tuple[str, str, str]]
):
    errors = refusal_of(text).errors

    assert [(error.pointer, error.code) for error in errors] == [each[:2] for each in mistakes]
    for error, (*_, detail) in zip(errors, mistakes, strict=True):
        assert detail in error.detail


@pytest.mark.parametrize("escape", ["\\ud800", "\\udfff", "\\ud83d\\ude00"])
def test_half_a_surrogate_pair_is_refused(escape: str):
    # One scanner says that it is no character, the other reads it, and it cannot be stored.
    assert refusal_of(f'a: "{escape}"').code == "malformed_body"


LAUGHS = "a: &a [ha, ha]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n"
    for before, name in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "[" * 250_000,
        "- " * 120_000,
        "{a: " * 60_000,
        "? " * 120_000,
        "&a " * 80_000,
        '"\\' * 120_000,
        "'" * 249_999,
        "---\n" * 60_000,
        "0" * 250_000,
        "a: " * 80_000,
    ],
    ids=range(11),
)
def test_no_body_takes_long_to_refuse(text: str):
    assert refusal_of(text).code == "malformed_body"


@given(st.text(alphabet="a1:-?[]{},&*!|>'\"%@#.~ \n\t\\<=e+x0\u2028é", max_size=40))
def test_whatever_is_sent_is_read_as_json_could_say_it_or_refused(text: str):
    for loader in {getattr(yaml, "CBaseLoader", yaml.BaseLoader), yaml.BaseLoader}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml_parsing, "LOADER", loader)
            try:
                read = parse_yaml(text.encode())
            except MalformedBody:
                continue
        assert json.loads(json.dumps(read, allow_nan=False)) == read
