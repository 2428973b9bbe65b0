"""Periodic tasks in Django admin, written as the API writes them."""

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django_celery_beat.admin import PeriodicTaskAdmin as StockAdmin
from django_celery_beat.admin import PeriodicTaskForm as StockForm
from django_celery_beat.models import PeriodicTask

from scheduler_api.access.redaction import redacted
from scheduler_api.admin.callers import AdminRequest, caller_of
from scheduler_api.admin.reading import shown_json
from scheduler_api.admin.refusals import Refusal, mistakes_of, show_refusal
from scheduler_api.http.fields import in_utc, read_json
from scheduler_api.periodic_tasks import actions as task_actions
from scheduler_api.periodic_tasks.agenda import agenda_of
from scheduler_api.periodic_tasks.filters import PAUSED
from scheduler_api.periodic_tasks.models import (
    POLICIES,
    ManagedTask,
    is_enabled,
    is_paused,
    managed_settings,
)
from scheduler_api.periodic_tasks.serializers import PeriodicTaskSerializer
from scheduler_api.periodic_tasks.slots import next_run_at
from scheduler_api.runs import actions as run_actions
from scheduler_api.schedules.tables import KINDS

ManagedBy = ManagedTask.ManagedBy
# The sources that write their definitions again: an edit does not make them the admin's.
WRITTEN_AGAIN = {ManagedBy.SETTINGS, ManagedBy.MANIFEST}
JSON_FIELDS = {"args": list, "kwargs": dict, "headers": dict}
EMPTY = "—"


class PeriodicTaskForm(StockForm):  # type: ignore[misc]  # untyped
    """The stock form, with the API's validation in the place of the model's."""

    instance: PeriodicTask
    draft: task_actions.Draft

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        task = self.instance
        if task.pk is None:
            return
        self.initial["enabled"] = is_enabled(task)
        for name, json_type in JSON_FIELDS.items():
            stored = read_json(getattr(task, name), json_type)
            if name in self.fields and stored is not None:
                self.initial[name] = shown_json(redacted(stored))

    def _post_clean(self) -> None:
        """Validate with the serializer of the API, and keep its draft.

        ModelForm would write the values into the stored row and run the model's validation, which
        knows neither signatures nor queues.
        """
        if self.errors:
            return
        before = self.instance if self.instance.pk else None
        context = {"request": AdminRequest(user=caller_of(self.request).account)}
        serializer = PeriodicTaskSerializer(context=context)
        try:
            self.draft = serializer.check(self.body(), task=before, partial=before is not None)
        except Refusal as error:
            show_refusal(self, error, schedule_fields=tuple(KINDS))
            return
        name = self.draft.task.name
        if (before is None or name != before.name) and task_actions.taken_names([name]):
            self.add_error("name", task_actions.name_taken(name).detail)

    def body(self) -> dict[str, Any]:
        """Return the values as a request of the API: all of a new task, else the changed ones."""
        names = (set(self.fields) if self.instance.pk is None else set(self.changed_data)) & {
            *PeriodicTaskSerializer.Meta.fields
        }
        if "regtask" in self.changed_data:
            names.add("task")
        if names & set(KINDS):
            names |= set(KINDS)
        body = {name: as_json(name, self.cleaned_data[name]) for name in names}
        if body.get("clocked") and not body.get("one_off"):
            body.pop("one_off", None)  # an empty box: the API's default is right
        return body


def as_json(name: str, value: Any) -> Any:
    """Return the value of a form field as JSON."""
    if name in JSON_FIELDS:
        return json.loads(value or json.dumps(JSON_FIELDS[name]()))
    if name in KINDS:
        return value and value.pk
    if isinstance(value, datetime):
        return in_utc(value)
    return None if value == "" and name != "description" else value


class StateFilter(admin.SimpleListFilter):
    """Filters the list by what keeps a periodic task from running."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("paused", "Paused"), ("error", "With an error")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the selected periodic tasks."""
        selected = {"paused": PAUSED, "error": Q(agenda__last_error__gt="")}
        return queryset.filter(selected[str(self.value())] if self.value() in selected else Q())


class PeriodicTaskAdmin(StockAdmin):  # type: ignore[misc]  # untyped
    """The stock admin class, with the API's actions for each write."""

    form = PeriodicTaskForm
    list_display = (
        *("name", "enabled", "scheduler", "next_run", "last_run_at"),
        *("pause", "last_error", "owner"),
    )
    list_filter = (StateFilter, "enabled", "one_off", "managed__managed_by")
    actions = (
        *("enable_tasks", "disable_tasks", "toggle_tasks"),
        *("pause_tasks", "resume_tasks", "run_tasks"),
    )
    state_fields: ClassVar = ("next_run", "last_error", "missed_count", "pause")
    managed_fields: ClassVar = ("owner", "managed_by", "revision", "labels", "policies")
    fieldsets = (
        *StockAdmin.fieldsets,
        ("State", {"fields": state_fields}),
        ("Managed over the API", {"fields": managed_fields}),
    )
    readonly_fields = (*StockAdmin.readonly_fields, *state_fields, *managed_fields)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the periodic tasks with their managed settings and their agenda."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("managed__owner", "agenda")

    # --- Columns ----------------------------------------------------------------------------

    @admin.display(description="Next run", ordering="agenda__slot_at")
    def next_run(self, task: PeriodicTask) -> datetime | str:
        """Return the next slot."""
        return next_run_at(task) or EMPTY

    @admin.display(description="Pause")
    def pause(self, task: PeriodicTask) -> str:
        """Return the note and the end of the pause."""
        managed = managed_settings(task)
        if not is_paused(task):
            return EMPTY
        end = f"until {in_utc(managed.paused_until)}" if managed.paused_until else "without end"
        return f"{managed.pause_note or 'Paused'}, {end}"

    @admin.display(description="Error")
    def last_error(self, task: PeriodicTask) -> str:
        """Return why beat cannot plan or send the task."""
        return agenda_of(task).last_error or EMPTY

    @admin.display(description="Missed slots")
    def missed_count(self, task: PeriodicTask) -> int:
        """Return the number of missed slots."""
        return agenda_of(task).missed_count

    @admin.display(description="Owner")
    def owner(self, task: PeriodicTask) -> object:
        """Return the owning account."""
        return managed_settings(task).owner or EMPTY

    @admin.display(description="Managed by")
    def managed_by(self, task: PeriodicTask) -> str:
        """Return the source of the definition."""
        return managed_settings(task).managed_by

    @admin.display(description="Revision")
    def revision(self, task: PeriodicTask) -> int:
        """Return the number of writes."""
        return managed_settings(task).revision

    @admin.display(description="Labels")
    def labels(self, task: PeriodicTask) -> str:
        """Return the labels as a selector."""
        return ", ".join(f"{key}={value}" for key, value in managed_settings(task).labels.items())

    @admin.display(description="Policies")
    def policies(self, task: PeriodicTask) -> str:
        """Return the policies, which the API changes."""
        managed = managed_settings(task)
        return ", ".join(f"{name}={getattr(managed, name)}" for name in POLICIES)

    # --- Writes -----------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Return the form, which knows the request."""
        form = super().get_form(request, obj, **kwargs)
        return type(form.__name__, (form,), {"request": request})

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the stored task; lock it if it is about to be changed."""
        if request.method == "POST":
            locked = PeriodicTask.objects.select_for_update(of=("self",))
            list(locked.filter(pk=object_id) if object_id.isdigit() else locked.none())
        return super().get_object(request, object_id, from_field)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> PeriodicTask:
        """Return the draft's task instead of the form's instance, which stays as it was stored."""
        task: PeriodicTask = form.draft.task
        return task

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store the draft by the API's actions."""
        by = caller_of(request)
        if not change:
            task_actions.create(form.draft, managed_by=ManagedBy.ADMIN, by=by)
            return
        if not form.changed_data:
            return
        self.change(form.instance, form.draft, request)
        if (source := managed_settings(obj).managed_by) in WRITTEN_AGAIN:
            text = f"The {source} define this periodic task, and overwrite this edit next time."
            messages.warning(request, text.replace("The manifest define", "A manifest defines"))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Store nothing: a periodic task has no related rows in its form."""

    def change(
        self, before: PeriodicTask, draft: task_actions.Draft, request: HttpRequest
    ) -> None:
        """Store a change, and the admin as its source."""
        stays = managed_settings(before).managed_by in WRITTEN_AGAIN
        source = None if stays else ManagedBy.ADMIN
        task_actions.change(before, draft, managed_by=source, by=caller_of(request))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete a task."""
        task_actions.delete(obj, by=caller_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete several tasks."""
        for task in queryset:
            task_actions.delete(task, by=caller_of(request))

    # --- Actions ----------------------------------------------------------------------------

    def set_enabled(self, request: HttpRequest, rows: QuerySet[Any], value: bool | None) -> None:
        """Enable, disable or toggle tasks; report each refusal."""
        context = {"request": AdminRequest(user=caller_of(request).account)}
        serializer = PeriodicTaskSerializer(context=context)

        def switch(task: PeriodicTask) -> None:
            body = {"enabled": not is_enabled(task) if value is None else value}
            self.change(task, serializer.check(body, task=task, partial=True), request)

        self.act(request, rows, switch, done="changed")

    def act(self, request: HttpRequest, rows: QuerySet[Any], action: Any, *, done: str) -> None:
        """Run an action on each selected task, and report successes and refusals."""
        succeeded = 0
        for task in rows:
            try:
                action(task)
            except Refusal as error:
                for mistake in mistakes_of(error):
                    messages.error(request, f"{task.name}: {mistake.detail}")
            else:
                succeeded += 1
        if succeeded:
            tasks = "periodic task was" if succeeded == 1 else "periodic tasks were"
            messages.success(request, f"{succeeded} {tasks} {done}.")

    @admin.action(description="Enable selected tasks", permissions=["change"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Replaces the stock action, which neither validates nor audits."""
        self.set_enabled(request, queryset, True)

    @admin.action(description="Disable selected tasks", permissions=["change"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Replaces the stock action, which also clears `last_run_at`."""
        self.set_enabled(request, queryset, False)

    @admin.action(description="Toggle activity of selected tasks", permissions=["change"])
    def toggle_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Replaces the stock action."""
        self.set_enabled(request, queryset, None)

    @admin.action(description="Pause selected tasks", permissions=["change"])
    def pause_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Pause tasks without an end."""
        by = caller_of(request)
        self.act(
            request,
            queryset,
            lambda task: task_actions.pause(
                task, reason=f"By {by.account.name}", until=None, by=by
            ),
            done="paused",
        )

    @admin.action(description="Resume selected tasks", permissions=["change"])
    def resume_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """End the pauses of tasks."""
        by = caller_of(request)
        self.act(request, queryset, lambda task: task_actions.resume(task, by=by), done="resumed")

    @admin.action(description="Run selected tasks", permissions=["change"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Enter a run of each task in the ledger.

        The stock action sends messages past the ledger, and only of tasks in this process.
        """
        by = caller_of(request)

        def run(task: PeriodicTask) -> None:
            args, kwargs = task.args or "[]", task.kwargs or "{}"
            run_actions.run_now(task, args=args, kwargs=kwargs, now=datetime.now(UTC), by=by)

        self.act(request, queryset, run, done="entered in the ledger to run now")


admin.site.unregister(PeriodicTask)
admin.site.register(PeriodicTask, PeriodicTaskAdmin)
