"""The signature of a task: its parameters, and the JSON Schema of its arguments."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial
from typing import Any, TypeAlias

from pydantic import TypeAdapter

from scheduler_api.catalogue.json_schema import SchemaValidator
from scheduler_api.catalogue.type_hints import Path, SchemaGenerator, adapter_for, check_value

Schema: TypeAlias = dict[str, Any]
KIND_KEYWORD = "x-parameter-kind"


class ParameterKind(StrEnum):
    """The kinds of ``inspect.Parameter``: how an argument is passed to it."""

    POSITIONAL_ONLY = "positional_only"
    ORDINARY = "positional_or_keyword"
    VAR_POSITIONAL = "var_positional"
    KEYWORD_ONLY = "keyword_only"
    VAR_KEYWORD = "var_keyword"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a task.

    ``check_value`` returns the mistakes in a single value, each as a path inside the value and a
    sentence. It checks each value of ``*args`` separately.
    """

    name: str
    kind: ParameterKind
    position: int
    has_default: bool
    check_value: Callable[[object], list[tuple[Path, str]]]

    @property
    def by_position(self) -> bool:
        return self.kind in {ParameterKind.POSITIONAL_ONLY, ParameterKind.ORDINARY}

    @property
    def by_name(self) -> bool:
        return self.kind in {ParameterKind.ORDINARY, ParameterKind.KEYWORD_ONLY}

    @property
    def required(self) -> bool:
        return not self.has_default and (self.by_position or self.by_name)


@dataclass(frozen=True, kw_only=True)
class TaskSignature:
    """The parameters of a task, in the order of its signature.

    ``schema`` (JSON Schema 2020-12) describes them as an object by name. A parameter that cannot
    be passed both by position and by name has its kind in ``x-parameter-kind``. The values of
    ``**kwargs`` are the additional properties.
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
        return self._of_kind(ParameterKind.VAR_POSITIONAL)

    @cached_property
    def var_keyword(self) -> Parameter | None:
        return self._of_kind(ParameterKind.VAR_KEYWORD)

    def _of_kind(self, kind: ParameterKind) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.kind is kind), None)


def signature_of(function: Callable[..., object]) -> TaskSignature:
    """Return the signature of a function, or of a Celery task's ``run``, without decorators.

    It never fails: a callable that Python cannot inspect, or a hint that pydantic does not know,
    accepts any value.
    """
    try:
        declared = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have no signature
        declared = inspect.signature(lambda *args, **kwargs: (args, kwargs))
    # Hints that are strings use the names of the module that defines the function.
    namespace = getattr(inspect.unwrap(function), "__globals__", {})
    adapters = {
        parameter.name: adapter_for(
            parameter.annotation,
            namespace=namespace,
            # `size: int = None` is common, and null then means the same as no argument.
            nullable=parameter.default is None,
        )
        for parameter in declared.parameters.values()
    }
    parameters = tuple(
        Parameter(
            name=parameter.name,
            kind=ParameterKind(parameter.kind.name.lower()),
            position=position,
            has_default=parameter.default is not inspect.Parameter.empty,
            check_value=partial(check_value, adapters[parameter.name]),
        )
        for position, parameter in enumerate(declared.parameters.values())
    )
    defaults = {name: parameter.default for name, parameter in declared.parameters.items()}
    return TaskSignature(parameters=parameters, schema=_schema(parameters, adapters, defaults))


def signature_from(schema: Schema) -> TaskSignature:
    """Return the signature with a schema that ``signature_of`` made elsewhere, without the code.

    Its parameters check a value by JSON Schema alone, so they accept values that only the code
    refuses.
    """
    definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    parameters = [
        Parameter(
            name=name,
            kind=(kind := ParameterKind(value.get(KIND_KEYWORD, ParameterKind.ORDINARY))),
            position=position,
            has_default=name not in schema["required"],
            check_value=SchemaValidator(
                {
                    **(value["items"] if kind is ParameterKind.VAR_POSITIONAL else value),
                    **definitions,
                }
            ).check_value,
        )
        for position, (name, value) in enumerate(schema["properties"].items())
    ]
    additional = schema["additionalProperties"]
    if additional is not False:
        parameters.append(
            Parameter(
                name="",
                kind=ParameterKind.VAR_KEYWORD,
                position=len(parameters),
                has_default=False,
                check_value=SchemaValidator({**additional, **definitions}).check_value,
            )
        )
    return TaskSignature(parameters=tuple(parameters), schema=schema)


def _schema(
    parameters: Sequence[Parameter],
    adapters: Mapping[str, TypeAdapter[Any]],
    defaults: Mapping[str, object],
) -> Schema:
    values, definitions = TypeAdapter.json_schemas(
        [(name, "validation", adapter) for name, adapter in adapters.items()],
        schema_generator=SchemaGenerator,
    )
    additional: Schema | bool = False
    properties: dict[str, Schema] = {}
    for parameter in parameters:
        value = values[parameter.name, "validation"]
        if parameter.kind is ParameterKind.VAR_KEYWORD:
            additional = value
        else:
            properties[parameter.name] = _property(parameter.kind, value, defaults[parameter.name])
    return {
        "type": "object",
        "properties": properties,
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": additional,
        **definitions,
    }


def _property(kind: ParameterKind, value: Schema, default: object) -> Schema:
    described = dict(value)
    if kind is ParameterKind.VAR_POSITIONAL:
        described = {"type": "array", "items": value}
    if kind is not ParameterKind.ORDINARY:
        described[KIND_KEYWORD] = kind.value
    try:
        as_json = json.loads(json.dumps(default, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return described
    # JSON turns a tuple into an array and number keys into strings: no longer the default.
    return {**described, "default": as_json} if as_json == default else described
