"""Typed query parameters: unknown, repeated and badly typed ones are refused."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from scheduler_api.http.fields import Instant
from scheduler_api.http.problems import InvalidQuery, Mistake, mistakes_in
from scheduler_api.http.serializers import StrictSerializer, each_unknown


class TextFilter(django_filters.CharFilter):
    """A filter by exact text; Django's would strip blanks at both ends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, strip=False, **kwargs)


class _StrictBooleanField(forms.Field):
    """Accept only `true` and `false`; Django's would read a typing error as "any"."""

    def to_python(self, value: Any) -> bool | None:
        if value in self.empty_values:
            return None
        if value not in {"true", "false"}:
            raise ValidationError("Must be true or false.", code="invalid")
        return bool(value == "true")


class FlagFilter(django_filters.BooleanFilter):
    """A filter by `true` or `false`."""

    field_class = _StrictBooleanField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, widget=forms.TextInput, **kwargs)


class _InstantField(forms.Field):
    """Accept the same date and time as a body."""

    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return Instant().to_internal_value(value)
        except serializers.ValidationError as error:
            raise ValidationError([str(item) for item in error.detail], code="invalid") from error


class InstantFilter(django_filters.IsoDateTimeFilter):
    """A filter by a date and time with an offset."""

    field_class = _InstantField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, widget=forms.TextInput, **kwargs)


class IdFilter(django_filters.NumberFilter):
    """A filter by the id of another row; use `exact` for a column that is no foreign key."""

    field_class = forms.IntegerField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # With the lookup `pk`, Django knows that no row matches a number beyond its column. With a
        # foreign key, the number reaches SQLite's driver, which fails.
        super().__init__(*args, **{"lookup_expr": "pk", **kwargs})

    def get_max_validator(self) -> None:
        """Return no maximum: the database has its own."""


class _ChoicesWidget(django_filters.widgets.BaseCSVWidget):
    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str] | None:
        """Return all choices; clients without `explode: false` repeat the parameter."""
        if name not in data:
            return None
        return [choice for text in data.getlist(name) for choice in text.split(",")]


class _ChoicesField(django_filters.fields.BaseCSVField):
    base_widget_class = _ChoicesWidget

    def clean(self, value: Any) -> Any:
        """Refuse an empty choice, which Django would ignore."""
        if value and "" in value:
            raise ValidationError("Must not have an empty name between commas.", code="invalid")
        return super().clean(value)


class ChoicesFilter(django_filters.BaseInFilter, django_filters.ChoiceFilter):
    """A filter by one or more choices, separated by commas or in repeated parameters."""

    base_field_class = _ChoicesField


class FilterBackend(DjangoFilterBackend):
    """Filter a list by its view's `filterset_class`."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        """Return the selected rows; raise InvalidQuery with all mistakes."""
        filters = getattr(self.get_filterset_class(view, queryset), "base_filters", {})
        if not request.query_params.keys() & filters.keys():
            return queryset  # building the form of all filters takes longer than a page
        refuse_empty(request, filters)
        filterset = self.get_filterset(request, queryset, view)
        if not filterset.is_valid():
            raise InvalidQuery(
                errors=[
                    Mistake(parameter=name, code=error.code or "invalid", detail=message)
                    for name, errors in filterset.errors.as_data().items()
                    for error in errors
                    for message in error.messages
                ]
            )
        rows: QuerySet[Any] = filterset.qs
        return rows


def repeatable_in(filters: Mapping[str, object]) -> set[str]:
    """Return the names of the filters that may be repeated."""
    return {name for name, each in filters.items() if isinstance(each, ChoicesFilter)}


def refuse_empty(request: Request, filters: Collection[str]) -> None:
    """Raise InvalidQuery for each empty filter: django-filter would select all rows.

    A script with an empty variable must not read, or then change, all rows.
    """
    mistakes = [
        Mistake(
            parameter=name,
            code="blank",
            detail="Must not be empty. Send a value, or omit the parameter.",
        )
        for name, value in request.query_params.items()
        if name in filters and not value
    ]
    if mistakes:
        raise InvalidQuery(errors=mistakes)


def read_query(serializer: StrictSerializer) -> dict[str, Any]:
    """Return the validated parameters of a serializer; raise InvalidQuery."""
    if serializer.is_valid():
        return dict(serializer.validated_data)
    raise InvalidQuery(
        errors=[
            Mistake(parameter=(mistake.pointer or "").lstrip("/"), code=mistake.code,
                    detail=mistake.detail)
            for mistake in mistakes_in(serializer.errors)
        ]
    )  # fmt: skip


def refuse_unknown_parameters(
    request: Request, known: Collection[str], *, repeatable: Collection[str] = ()
) -> None:
    """Raise InvalidQuery for each unknown parameter, and each repeated one not in `repeatable`."""
    mistakes = [
        Mistake(parameter=name, code="unknown_parameter", detail=detail)
        for name, detail in each_unknown("parameter", request.query_params, known)
    ]
    mistakes += [
        Mistake(
            parameter=name,
            code="duplicate_parameter",
            detail="Must not be repeated. Send it once.",
        )
        for name, values in request.query_params.lists()
        if name in known and name not in repeatable and len(values) > 1
    ]
    if mistakes:
        raise InvalidQuery(errors=mistakes)
