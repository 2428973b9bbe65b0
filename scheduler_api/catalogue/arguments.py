"""Check the arguments of a call against the signature of its task."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain, islice, repeat
from typing import Literal, TypeAlias

from scheduler_api.catalogue.signatures import Parameter, ParameterKind, TaskSignature
from scheduler_api.http.problems import MAX_ERRORS

ErrorCode: TypeAlias = Literal[
    "missing_argument", "unexpected_argument", "duplicate_argument", "invalid_argument"
]


@dataclass(frozen=True, kw_only=True)
class ArgumentError:
    """One mistake in a call.

    ``pointer`` (RFC 6901) is its position in ``{"args": [...], "kwargs": {...}}``. ``detail`` is a
    sentence with the value there as its subject: "must be a boolean, …".
    """

    pointer: str
    code: ErrorCode
    detail: str


def check_arguments(
    signature: TaskSignature, args: Sequence[object], kwargs: Mapping[str, object]
) -> list[ArgumentError]:
    """Return the mistakes in the parsed JSON of a call, which is bound as Python binds it.

    At most one more than a response lists: each takes time to explain.
    """
    mistakes = chain(
        _check_args(signature, args),
        _check_kwargs(signature, kwargs, filled=len(args)),
        _check_missing(signature, kwargs, filled=len(args)),
    )
    return list(islice(mistakes, MAX_ERRORS + 1))


def _check_args(signature: TaskSignature, args: Sequence[object]) -> Iterator[ArgumentError]:
    parameters = chain(signature.positional, repeat(signature.var_positional))
    for position, (value, parameter) in enumerate(zip(args, parameters, strict=False)):
        if parameter is not None:
            yield from _check_value(parameter, value, "args", position)
        else:
            count = len(signature.positional)
            detail = f"is one too many: the task takes {count} by position"
            yield _error("unexpected_argument", detail, "args", position)


def _check_kwargs(
    signature: TaskSignature, kwargs: Mapping[str, object], *, filled: int
) -> Iterator[ArgumentError]:
    for name, value in kwargs.items():
        parameter = signature.named.get(name, signature.var_keyword)
        if parameter is None:
            detail = _explain_unexpected(signature, name)
            yield _error("unexpected_argument", detail, "kwargs", name)
        elif parameter.by_position and parameter.position < filled:
            detail = f"is given twice: args[{parameter.position}] is the same parameter"
            yield _error("duplicate_argument", detail, "kwargs", name)
        else:
            yield from _check_value(parameter, value, "kwargs", name)


def _check_missing(
    signature: TaskSignature, kwargs: Mapping[str, object], *, filled: int
) -> Iterator[ArgumentError]:
    for parameter in signature.parameters:
        given_by_position = parameter.by_position and parameter.position < filled
        given_by_name = parameter.by_name and parameter.name in kwargs
        if parameter.required and not given_by_position and not given_by_name:
            yield _missing(parameter)


def _check_value(
    parameter: Parameter, value: object, *place: str | int
) -> Iterator[ArgumentError]:
    for path, detail in parameter.check_value(value):
        yield _error("invalid_argument", detail, *place, *path)


def _missing(parameter: Parameter) -> ArgumentError:
    ways = {
        ParameterKind.POSITIONAL_ONLY: f"as args[{parameter.position}]",
        ParameterKind.ORDINARY: f"in kwargs, or as args[{parameter.position}]",
        ParameterKind.KEYWORD_ONLY: "in kwargs",
    }
    detail = f'"{parameter.name}" is missing: give it {ways[parameter.kind]}'
    place = ("kwargs", parameter.name) if parameter.by_name else ("args", parameter.position)
    return _error("missing_argument", detail, *place)


def _explain_unexpected(signature: TaskSignature, name: str) -> str:
    for parameter in signature.positional:
        if parameter.name == name:
            return f"is taken by position only: give it as args[{parameter.position}]"
    if not signature.named:
        return "is unknown: the task takes nothing by name"
    names = ", ".join(f'"{known}"' for known in signature.named)
    likely = get_close_matches(name, signature.named, n=1)
    question = f'; did you mean "{likely[0]}"?' if likely else ""
    return f"is unknown: the task takes {names}{question}"


def _error(code: ErrorCode, detail: str, *place: str | int) -> ArgumentError:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in place)
    return ArgumentError(pointer="".join(f"/{step}" for step in steps), code=code, detail=detail)
