"""Schedules in Django admin, written as the API writes them."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as stock
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    SolarSchedule,
)

from scheduler_api.admin.callers import caller_of
from scheduler_api.admin.refusals import Refusal, show_refusal
from scheduler_api.http.fields import in_utc
from scheduler_api.schedules import actions
from scheduler_api.schedules.serializers import (
    ClockedScheduleSerializer,
    CrontabScheduleSerializer,
    IntervalScheduleSerializer,
    SolarScheduleSerializer,
)
from scheduler_api.schedules.serializers.base import ScheduleSerializer


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A form with the API's validation in the place of the model's."""

    serializer_class: type[ScheduleSerializer]
    row: Any

    def _post_clean(self) -> None:
        """Validate with the serializer of the API, and keep its row."""
        if self.errors:
            return
        body = {name: as_json(value) for name, value in self.cleaned_data.items()}
        stored = self._meta.model._default_manager.filter(pk=self.instance.pk).first()
        serializer = self.serializer_class(stored, data=body)
        try:
            serializer.is_valid(raise_exception=True)
        except Refusal as error:
            show_refusal(self, error)
        else:
            self.row = self.instance = serializer.row


def as_json(value: Any) -> Any:
    """Return the value of a form field as JSON."""
    match value:
        case datetime():
            return in_utc(value)
        case Decimal():
            return float(value)
        case str() | int() | float() | None:
            return value
    return str(value)  # a time zone


class TasksOfSchedule(stock.PeriodicTaskInline):  # type: ignore[misc]  # untyped
    """The periodic tasks that use a schedule, without their arguments, which may be secret."""

    fields = readonly_fields = ("name", "task", "enabled")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: each task has a page of its own."""
        return False


class ScheduleAdmin(stock.ScheduleAdmin):  # type: ignore[misc]  # untyped
    """The stock admin class, with the API's actions for each write."""

    form = ScheduleForm
    inlines = [TasksOfSchedule]
    serializer_class: ClassVar[type[ScheduleSerializer]]

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Return the form, which knows the serializer."""
        form = super().get_form(request, obj, **kwargs)
        return type(form.__name__, (form,), {"serializer_class": self.serializer_class})

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """Return the row of the serializer."""
        return form.row

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store the row by the API's action."""
        actions.store(obj, by=caller_of(request))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the inline forms, which only show periodic tasks, so that Django can list none."""
        for formset in formsets:
            formset.save()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Protect schedules in use: stock deletes their periodic tasks with them."""
        deleted, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        used = [str(task) for schedule in objs for task in schedule.periodictask_set.all()]
        return deleted, counts, perms_needed, [*protected, *used]

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete a schedule."""
        actions.delete(obj, by=caller_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete several schedules."""
        for schedule in queryset:
            actions.delete(schedule, by=caller_of(request))


class IntervalScheduleAdmin(ScheduleAdmin, stock.IntervalScheduleAdmin):  # type: ignore[misc]
    """Intervals."""

    serializer_class = IntervalScheduleSerializer


class CrontabScheduleAdmin(ScheduleAdmin, stock.CrontabScheduleAdmin):  # type: ignore[misc]
    """Crontabs."""

    serializer_class = CrontabScheduleSerializer


class SolarScheduleAdmin(ScheduleAdmin, stock.SolarScheduleAdmin):  # type: ignore[misc]
    """Solar schedules."""

    serializer_class = SolarScheduleSerializer


class ClockedScheduleAdmin(ScheduleAdmin, stock.ClockedScheduleAdmin):  # type: ignore[misc]
    """Clocked schedules."""

    serializer_class = ClockedScheduleSerializer


for model, admin_class in (
    (IntervalSchedule, IntervalScheduleAdmin),
    (CrontabSchedule, CrontabScheduleAdmin),
    (SolarSchedule, SolarScheduleAdmin),
    (ClockedSchedule, ClockedScheduleAdmin),
):
    admin.site.unregister(model)
    admin.site.register(model, admin_class)
