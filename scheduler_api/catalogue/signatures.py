"""What a task takes: its parameters, and the JSON Schema of its arguments."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias

from pydantic import TypeAdapter

from .hints import SchemaGenerator, adapter_for

Schema: TypeAlias = dict[str, Any]


class Kind(StrEnum):
    """How arguments reach a parameter: the kinds of ``inspect.Parameter``."""

    POSITIONAL_ONLY = "positional_only"
    ORDINARY = "positional_or_keyword"
    VAR_POSITIONAL = "var_positional"
    KEYWORD_ONLY = "keyword_only"
    VAR_KEYWORD = "var_keyword"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter; ``adapter`` judges a single value, so each one of ``*args`` by itself."""

    name: str
    kind: Kind
    position: int
    default: object
    adapter: TypeAdapter[Any]

    @property
    def by_position(self) -> bool:
        return self.kind in {Kind.POSITIONAL_ONLY, Kind.ORDINARY}

    @property
    def by_name(self) -> bool:
        return self.kind in {Kind.ORDINARY, Kind.KEYWORD_ONLY}

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty and (self.by_position or self.by_name)


@dataclass(frozen=True, kw_only=True)
class TaskSignature:
    """The parameters of a task, in the order of its signature.

    ``schema`` (JSON Schema 2020-12) describes them as an object by name. Parameters that are
    not reached both by position and by name say so in ``x-parameter-kind``; the values of
    ``**kwargs`` are its additional properties.
    """

    parameters: tuple[Parameter, ...]
    schema: Schema

    @cached_property
    def positional(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if parameter.by_position)

    @cached_property
    def named(self) -> dict[str, Parameter]:
        return {parameter.name: parameter for parameter in self.parameters if parameter.by_name}

    @cached_property
    def var_positional(self) -> Parameter | None:
        return self._of_kind(Kind.VAR_POSITIONAL)

    @cached_property
    def var_keyword(self) -> Parameter | None:
        return self._of_kind(Kind.VAR_KEYWORD)

    def _of_kind(self, kind: Kind) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.kind is kind), None)


def signature_of(function: Callable[..., object]) -> TaskSignature:
    """The signature of a function, or of a Celery task's ``run``, seen through decorators.

    Never fails: what Python cannot tell of a callable, or pydantic of a hint, stays open.
    """
    try:
        declared = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins do not tell
        declared = inspect.signature(lambda *args, **kwargs: (args, kwargs))
    # Hints that are strings are spelled in the names of the module that wrote them.
    namespace = getattr(inspect.unwrap(function), "__globals__", {})
    parameters = tuple(
        Parameter(
            name=parameter.name,
            kind=Kind(parameter.kind.name.lower()),
            position=position,
            default=parameter.default,
            adapter=adapter_for(
                parameter.annotation,
                namespace=namespace,
                # `size: int = None` is common, and its null is as good as leaving it out.
                nullable=parameter.default is None,
            ),
        )
        for position, parameter in enumerate(declared.parameters.values())
    )
    return TaskSignature(parameters=parameters, schema=_schema(parameters))


def _schema(parameters: Sequence[Parameter]) -> Schema:
    values, definitions = TypeAdapter.json_schemas(
        [(parameter.name, "validation", parameter.adapter) for parameter in parameters],
        schema_generator=SchemaGenerator,
    )
    additional: Schema | bool = False
    properties: dict[str, Schema] = {}
    for parameter in parameters:
        value = values[parameter.name, "validation"]
        if parameter.kind is Kind.VAR_KEYWORD:
            additional = value
        else:
            properties[parameter.name] = _property(parameter, value)
    return {
        "type": "object",
        "properties": properties,
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": additional,
        **definitions,
    }


def _property(parameter: Parameter, value: Schema) -> Schema:
    described = dict(value)
    if parameter.kind is Kind.VAR_POSITIONAL:
        described = {"type": "array", "items": value}
    if parameter.kind is not Kind.ORDINARY:
        described["x-parameter-kind"] = parameter.kind.value
    try:
        default = json.loads(json.dumps(parameter.default, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return described
    # JSON would turn a tuple into an array and number keys into strings: no longer the default.
    return {**described, "default": default} if default == parameter.default else described
