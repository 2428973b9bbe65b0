"""Refusals of the API as errors of an admin form."""

from collections.abc import Iterator

from django import forms
from rest_framework import exceptions

from scheduler_api.http.problems import Mistake, Problem, mistakes_in

Refusal = (Problem, exceptions.ValidationError)


def show_refusal(
    form: forms.BaseForm, error: Exception, *, schedule_fields: tuple[str, ...] = ()
) -> None:
    """Add the mistakes of a refusal to a form, each at its field.

    A mistake in the schedule is shown at the first of `schedule_fields` that has a value.
    """
    used = next((name for name in schedule_fields if form.cleaned_data.get(name)), None)
    for mistake in mistakes_of(error):
        field, _, place = (mistake.pointer or "").removeprefix("/").partition("/")
        text = f"{place}: {mistake.detail}" if place else mistake.detail
        name = used if field == "schedule" else field
        form.add_error(name if name in form.fields else None, text)


def mistakes_of(error: Exception) -> Iterator[Mistake]:
    """Yield the mistakes of a refusal; a problem without any is one by itself."""
    if isinstance(error, exceptions.ValidationError):
        yield from mistakes_in(error.detail)
    elif isinstance(error, Problem):
        yield from error.errors or [Mistake(code=error.code, detail=error.detail)]
