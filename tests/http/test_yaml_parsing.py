"""YAML bodies: values that JSON can express are parsed, all else is refused with its place."""

import contextlib
import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scheduler_api.http import yaml_parsing
from scheduler_api.http.parsing import BULK_MAX_BYTES
from scheduler_api.http.problems import BodyTooLarge, MalformedBody
from scheduler_api.http.yaml_parsing import MAX_NODES, parse_yaml, restrict
from scheduler_api.manifest.serializers import MAX_ENTRIES
from scheduler_api.periodic_tasks.examples import EXAMPLE


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type:
    """Parse with libyaml, then with PyYAML's parser in Python; both must refuse the same."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    loader = type("CountingLoader", (CountedEvents, restrict(getattr(yaml, request.param))), {})
    monkeypatch.setattr(yaml_parsing, "LOADER", loader)
    return loader


class CountedEvents:
    """Counts the events that a loader takes from its parser for one body."""

    events = 0

    def __init__(self, text: str) -> None:
        super().__init__(text)
        type(self).events = 0

    def get_event(self) -> Any:
        type(self).events += 1
        return super().get_event()


def refusal_of(text: str | bytes) -> MalformedBody:
    body = text.encode() if isinstance(text, str) else text
    with pytest.raises(MalformedBody) as refused:
        parse_yaml(body)
    return refused.value


# --- Values that are parsed -------------------------------------------------------------------


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
        # YAML 1.1 reads these as other types.
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
        # These resemble a word or a number.
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
def test_scalar_is_read_by_the_core_schema(text: str, value: object):
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
def test_document_is_read(text: str, document: object):
    assert parse_yaml(text.encode()) == document


def test_json_document_is_read_as_yaml():
    text = '{"a": [1, 1.5, -2e3, true, null, "\\u00e9\\/"], "b": {}}'

    assert json.dumps(parse_yaml(text.encode())) == json.dumps(json.loads(text))


def test_document_of_32_levels_is_read():
    read = parse_yaml(b"[" * 32 + b"]" * 32)

    assert json.dumps(read) == "[" * 32 + "]" * 32


# --- Bodies that are refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        ("a: 012", "read this number differently", "line 1, column 4"),
        ("a:\n  - -007", "read this number differently", "line 2, column 5"),
        ("a: 0o14", "read this number differently", "line 1, column 4"),
        ("a: 0x1F", "read this number differently", "line 1, column 4"),
        ("a: .inf", "JSON has no infinity and no NaN", "line 1, column 4"),
        ("a: -.Inf", "JSON has no infinity and no NaN", "line 1, column 4"),
        ("a: .NaN", "JSON has no infinity and no NaN", "line 1, column 4"),
        ("a: 1\nb: 1e999", "The number 1e999 is too large", "line 2, column 4"),
        ("a: -1e999", "The number -1e999 is too large", "line 1, column 4"),
        ("a: " + "9" * 5000, "too many digits", "line 1, column 4"),
        ("1: a", "A key is not a string", "line 1, column 1"),
        ("a: {true: b}", "A key is not a string", "line 1, column 5"),
        ("~: a", "A key is not a string", "line 1, column 1"),
        ("? \n: a", "A key is not a string", "line "),
        ("a: 1\n? [b]\n: c", "A key is not a string", "line 2, column 3"),
        ("? {b: 1}\n: c", "A key is not a string", "line 1, column 3"),
        ("a: 1\n<<: {b: 1}", "Merge keys are not allowed", "line 2, column 1"),
        ("a: &b 1", "Anchors are not allowed", "line 1, column 4"),
        ("a: &b [1]", "Anchors are not allowed", "line 1, column 4"),
        ("a: 1\nb: *a", "Aliases are not allowed", "line 2, column 4"),
        ("<<: *a", "Merge keys are not allowed", "line 1, column 1"),
        ("a: !!str 1", "Tags are not allowed", "line 1, column 4"),
        ("a: ! 1", "Tags are not allowed", "line 1, column 4"),
        ("!!set {a}", "Tags are not allowed", "line 1, column 1"),
        ("a: !!binary aGk=", "Tags are not allowed", "line 1, column 4"),
        ("!!python/object/apply:os.getcwd []", "Tags are not allowed", "line 1, column 1"),
        ("a: !b [1]", "Tags are not allowed", "line 1, column 4"),
        ("%YAML 1.1\n---\na: yes", "Directives are not allowed", "line 1, column 1"),
        ("%TAG ! tag:example.com,2000:\n---\na: 1", "Directives", "line 1, column 1"),
        ("a: 1\n---\nb: 2", "The body has a second document", "line 2, column 1"),
        ("a: 1\n...\n---\n", "The body has a second document", "line 3, column 1"),
        ("[" * 33 + "]" * 33, "more than 32 levels", "line 1, column 33"),
        ("a: b: c", "not valid YAML: mapping values are not allowed", "line 1, column 5"),
        ("a: @b", "not valid YAML: found character", "line 1, column 4"),
        ("- a\n b: 1", "not valid YAML: mapping values", "line 2, column 3"),
        ("\ta: 1", "not valid YAML: found character", "line 1, column 1"),
        ("a: [1", "not valid YAML", "line "),
        ("a: 'b", "not valid YAML: found unexpected end of stream", "line 1, column 6"),
        ('a: "\\x4"', "not valid YAML", "line 1, column 7"),
        ("a: 1\nb: é\x00", "The character U+0000", "line 2, column 5"),
        ("a: b\x7f", "The character U+007F", "line 1, column 5"),
        ("a: b\x85c", "The character U+0085", "line 1, column 5"),
        ("a: 'b\u2028c'", "The character U+2028", "line 1, column 6"),
        ("a: b\ufeff", "The character U+FEFF", "line 1, column 5"),
        ("a: b\uffff", "The character U+FFFF", "line 1, column 5"),
    ],
)
def test_yaml_beyond_json_is_refused_with_line_and_column(text: str, reason: str, place: str):
    detail = refusal_of(text).detail

    assert reason in detail
    assert place in detail


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a: \xff", "not valid UTF-8 at byte 3"),
        ("a: 1".encode("utf-16"), "not valid UTF-8"),
        (b" \n", "has no YAML document"),
        (b"# nothing", "has no YAML document"),
        (b'"\\U7fffffff"', "The body is not valid YAML"),
        (b'"\\Uffffffff"', "The body is not valid YAML"),
    ],
)
def test_body_without_a_document_is_refused(body: bytes, reason: str):
    assert reason in refusal_of(body).detail


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("a: 1\nb: 2\na: 3", [("", "duplicate_key", "a key at line 3, column 1")]),
        ("a: {b: 1, 'b': 1}", [("/a", "duplicate_key", "a key at line 1, column 11")]),
        (
            "a:\n- b: 1\n  b: 2\n  b: 3\nc: {d: , d: }",
            [
                ("/a/0", "duplicate_key", "a key at line 3, column 3"),
                ("/c", "duplicate_key", "a key at line 5, column 10"),
            ],
        ),
        ('a: ["b\\0"]', [("/a/0", "unstorable_character", "cannot be stored")]),
        ('{"a\\x00": 1}', [("", "unstorable_character", "cannot be stored")]),
    ],
    ids=range(5),
)
def test_mistake_that_strict_json_refuses_is_refused_with_the_same_pointer(
    text: str, mistakes: list[tuple[str, str, str]]
):
    errors = refusal_of(text).errors

    assert [(error.pointer, error.code) for error in errors] == [each[:2] for each in mistakes]
    for error, (*_, detail) in zip(errors, mistakes, strict=True):
        assert detail in error.detail


@pytest.mark.parametrize("escape", ["\\ud800", "\\udfff", "\\ud83d\\ude00"])
def test_lone_surrogate_is_refused(escape: str):
    # libyaml rejects the escape; the parser in Python reads it, and it cannot be stored.
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
def test_hostile_body_is_refused_quickly(text: str):
    assert refusal_of(text).code == "malformed_body"


@given(st.text(alphabet="a1:-?[]{},&*!|>'\"%@#.~ \n\t\\<=e+x0\u2028é", max_size=40))
def test_any_body_is_read_as_a_json_value_or_refused(text: str):
    for loader in {getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml_parsing, "LOADER", restrict(loader))
            try:
                read = parse_yaml(text.encode())
            except MalformedBody:
                continue
        assert json.loads(json.dumps(read, allow_nan=False)) == read


# --- Dense bodies -----------------------------------------------------------------------------


def filled(unit: str, *, head: str = "", length: int = BULK_MAX_BYTES) -> str:
    return head + unit * ((length - len(head)) // len(unit))


def keys_in_lines(length: int) -> str:
    count = length // 9
    return "".join(f"k{number:05x}:\n" for number in range(count))


DENSE_BODIES = [
    pytest.param(lambda length: filled("[],", head="[", length=length), id="arrays"),
    pytest.param(lambda length: filled("{},", head="[", length=length), id="objects"),
    pytest.param(lambda length: filled("1,", head="a: [", length=length), id="numbers"),
    pytest.param(lambda length: filled(",", head="[''", length=length), id="commas"),
    pytest.param(lambda length: filled("-\n", length=length), id="empty-items"),
    pytest.param(lambda length: filled("a:\n", length=length), id="repeated-keys"),
    pytest.param(lambda length: filled("{a,a},", head="[", length=length), id="doubled-keys"),
    pytest.param(keys_in_lines, id="keys"),
    pytest.param(
        lambda length: filled("[" * 30 + "]" * 30 + ",", head="[", length=length), id="deep"
    ),
    pytest.param(lambda length: filled("- a: {b: [1, {}]}\n", length=length), id="rows"),
    pytest.param(
        lambda length: filled("1,", head="[", length=length) + "&a 1]", id="anchor-at-the-end"
    ),
]


def refuse_dense(text: str) -> str:
    with pytest.raises((BodyTooLarge, MalformedBody)) as refused:
        parse_yaml(text.encode())
    return str(refused.value.detail)


@pytest.mark.parametrize("body_of_length", DENSE_BODIES)
def test_dense_body_is_refused_after_a_bounded_number_of_events(
    body_of_length: Any, loader: type[CountedEvents], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(yaml_parsing, "MAX_NODES", 1000)

    refuse_dense(body_of_length(100_000))

    # A sequence or a mapping has two events; the stream and the document start with one each.
    assert loader.events <= 2 * 1000 + 2


def test_body_of_more_values_than_the_bound_is_refused_with_the_bound_and_the_place(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(yaml_parsing, "MAX_NODES", 5)

    assert parse_yaml(b"a: 1\nb: 2") == {"a": 1, "b": 2}
    with pytest.raises(BodyTooLarge) as refused:
        parse_yaml(b"a: 1\nb: 2\nc: 3")

    assert refused.value.detail == (
        "The body has more than 5 keys and values (line 3, column 1). Send fewer in one body."
    )


def test_dense_body_of_8_mib_takes_bounded_cpu_time(
    loader: type[CountedEvents], monkeypatch: pytest.MonkeyPatch
):
    if issubclass(loader, yaml.SafeLoader):
        pytest.skip("The parser in Python takes ten times as long")
    monkeypatch.setattr(yaml_parsing, "LOADER", restrict(yaml.CSafeLoader))
    text = filled("[],", head="[")
    started_at = time.process_time()

    detail = refuse_dense(text)

    # The bound is generous: the parser in C takes 1.5 s on a busy machine.
    assert time.process_time() - started_at < 20
    assert f"{MAX_NODES:,}" in detail


def nodes_of(value: Any) -> int:
    match value:
        case dict():
            return 1 + len(value) + sum(map(nodes_of, value.values()))
        case list():
            return 1 + sum(map(nodes_of, value))
    return 1


def test_largest_manifest_fits_the_bound():
    assert nodes_of(EXAMPLE) * 1.5 * MAX_ENTRIES <= MAX_NODES


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="a1:-?[]{},&*!|'\"#~ \n", min_size=1, max_size=6))
@example("[],")
@example("? ")
def test_any_repeated_text_is_read_or_refused_after_a_bounded_number_of_events(
    loader: type[CountedEvents], unit: str
):
    for head in ("", "[", "a: [", "- "):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml_parsing, "MAX_NODES", 100)
            with contextlib.suppress(BodyTooLarge, MalformedBody):
                parse_yaml(filled(unit, head=head, length=1000).encode())

        assert loader.events <= 2 * 100 + 4
