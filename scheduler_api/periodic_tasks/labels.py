"""Labels: keys and values by which callers select periodic tasks."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import F, Func, QuerySet, TextField, Value
from django_celery_beat.models import PeriodicTask
from rest_framework import serializers

from scheduler_api.http.fields import unchanged
from scheduler_api.http.names import invisible_in, normalized
from scheduler_api.http.problems import InvalidQuery, Mistake
from scheduler_api.periodic_tasks.models import managed_settings

KEY = re.compile(r"[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?")
MAX_LABELS = 32
MAX_VALUE_LENGTH = 200
FILTER_HELP = "Label selector, such as `team=billing,tier`. All its pairs and keys must match."


def matches_selector(labels: Mapping[str, str], selector: str) -> bool:
    """Return whether labels match a selector: `team=billing,tier=1`, or `team` alone.

    It means the same as `filter_by_labels`, which asks the database. An empty selector matches
    all.
    """
    for key, value in parse_selector(selector):
        if key not in labels or (value is not None and labels[key] != value):
            return False
    return True


def parse_selector(selector: str) -> Iterator[tuple[str, str | None]]:
    """Yield the keys of a selector, each with its value, or with None if any value matches."""
    for label in selector.split(",") if selector else ():
        key, is_pair, value = label.partition("=")
        yield key.strip(), normalized(value) if is_pair else None


class Labels(serializers.DictField):
    """An object of strings, with keys of lower-case letters, digits and `._/-`."""

    in_requests: Mapping[str, Any] = {
        "propertyNames": {"pattern": f"^{KEY.pattern}$"},
        "additionalProperties": {"type": "string", "maxLength": MAX_VALUE_LENGTH},
        "maxProperties": MAX_LABELS,
    }
    default_error_messages = {
        "invalid_key": (
            "{name} is not a valid key: use 1 to 63 lower-case letters, digits and ._/-, "
            "with a letter or digit at both ends."
        ),
        "invalid_value": f"Must be a string of at most {MAX_VALUE_LENGTH} characters.",
        "invisible": "The value of {name} must not have the invisible character {character}.",
        "too_many": f"Must have at most {MAX_LABELS} labels.",
    }

    def get_attribute(self, instance: PeriodicTask) -> dict[str, str]:
        """Return the labels, which the managed settings hold."""
        labels: dict[str, str] = managed_settings(instance).labels
        return labels

    to_representation = unchanged

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Validate the labels: their keys must need no escaping in a URL."""
        if not isinstance(data, dict):
            self.fail("not_a_dict", input_type=type(data).__name__)
        if len(data) > MAX_LABELS:
            self.fail("too_many")
        for key, value in data.items():
            if not KEY.fullmatch(key):
                self.fail("invalid_key", name=repr(key))
            if not isinstance(value, str) or len(value) > MAX_VALUE_LENGTH:
                message = self.error_messages["invalid_value"]
                raise serializers.ValidationError({key: [message]})
            if character := invisible_in(value):
                self.fail("invisible", name=key, character=f"U+{ord(character):04X}")
        return {key: normalized(value) for key, value in sorted(data.items())}


class LabelValue(Func):
    """The value of a label, or NULL: `LabelValue(F("labels"), Value("team"))`.

    Django's KeyTransform takes a key of digits for the index of an array: no label matched it, and
    PostgreSQL refuses an index of twenty digits.
    """

    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Take the text of a key."""
        return self.as_sql(
            compiler, connection, template="(%(expressions)s)", arg_joiner=" ->> ", **context
        )

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Take the text at a path."""
        labels, key = self.get_source_expressions()
        by_path = self.copy()
        by_path.set_source_expressions([labels, Value(f"$.{json.dumps(key.value)}")])
        return by_path.as_sql(compiler, connection, function="JSON_EXTRACT", **context)


def filter_by_labels(
    rows: QuerySet[Any], selector: str, *, column: str = "labels"
) -> QuerySet[Any]:
    """Select rows by a label selector, all of which must match: `team=billing,tier`.

    Raise InvalidQuery if it names more labels than a row can have: each takes a condition in SQL.
    """
    if selector.count(",") >= MAX_LABELS:
        detail = f"Must name at most {MAX_LABELS} labels."
        raise InvalidQuery(errors=[Mistake(parameter="label", code="too_many", detail=detail)])
    for number, (key, value) in enumerate(parse_selector(selector)):
        stored = {f"label_{number}": LabelValue(F(column), Value(key))}
        condition = (
            {f"label_{number}__isnull": False} if value is None else {f"label_{number}": value}
        )
        rows = rows.annotate(**stored).filter(**condition)
    return rows
