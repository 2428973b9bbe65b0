"""A request for a run of any task in JSON."""

from itertools import combinations
from typing import Any, ClassVar

from django_celery_beat.models import PeriodicTask

from scheduler_api.http import fields
from scheduler_api.http.names import Name, find_by_name
from scheduler_api.http.problems import Mistake, ValidationFailed
from scheduler_api.periodic_tasks.serializers import MAX_INTEGER, MAX_NAME_LENGTH
from scheduler_api.periodic_tasks.validation import wrong_routing
from scheduler_api.runs.message_options import MAX_PRIORITY
from scheduler_api.runs.serializers import ASKED_FOR, RunNowSerializer

SOURCES = ("periodic_task", "periodic_task_name", "task")
# A periodic task has its own options.
OPTIONS = ("queue", "priority", "expire_seconds")
EXAMPLE: dict[str, Any] = {"task": "project.tasks.add", "args": [19, 23]}
ANSWER: dict[str, Any] = {
    **ASKED_FOR,
    **EXAMPLE,
    "kwargs": {},
    "periodic_task": None,
    "periodic_task_name": "",
}


class NewRunSerializer(RunNowSerializer):
    """A run of a periodic task, given by id or name, or of a task without a definition.

    Exactly one of `periodic_task`, `periodic_task_name` and `task` is required.
    """

    periodic_task = fields.WholeNumber(
        required=False,
        min_value=1,
        max_value=MAX_INTEGER,
        help_text="ID of a periodic task.",
    )
    periodic_task_name = fields.Text(
        required=False,
        trim_whitespace=False,  # a row of another program may have blanks at the ends
        max_length=MAX_NAME_LENGTH,
        help_text="Name of a periodic task.",
    )
    task = Name(
        required=False,
        max_length=MAX_NAME_LENGTH,
        help_text="Name of a task, as listed by `GET /api/v1/tasks/`.",
    )
    queue = fields.Text(
        required=False,
        max_length=MAX_NAME_LENGTH,
        help_text="Queue of the message; only with `task`. Defaults to the route of the task.",
    )
    priority = fields.WholeNumber(
        required=False,
        min_value=0,
        max_value=MAX_PRIORITY,
        help_text="Priority of the message; only with `task`.",
    )
    expire_seconds = fields.WholeNumber(
        required=False,
        min_value=1,
        max_value=MAX_INTEGER,
        help_text="Seconds that the message may wait for a worker; only with `task`.",
    )

    in_requests: ClassVar[dict[str, Any]] = {
        # Neither two of them nor none. As `oneOf`, generators make a union of types.
        "not": {
            "anyOf": [
                *({"required": [*pair]} for pair in combinations(SOURCES, 2)),
                {"not": {"anyOf": [{"required": [source]} for source in SOURCES]}},
            ]
        },
        "dependentRequired": {option: ["task"] for option in OPTIONS},
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the periodic task and its arguments; raise ValidationFailed.

        For a task without a definition, the periodic task is not stored.
        """
        if mistakes := list(wrong_source(attrs)):
            raise ValidationFailed(errors=mistakes)
        task = self.task_without_definition(attrs) if "task" in attrs else self.find(attrs)
        self._context = {**self.context, "task": task}
        arguments = {name: value for name, value in attrs.items() if name in {"args", "kwargs"}}
        return {"task": task, **super().validate(arguments)}

    def task_without_definition(self, attrs: dict[str, Any]) -> PeriodicTask:
        """Return a periodic task that is not stored, as the definition of one run."""
        options = {name: attrs[name] for name in OPTIONS if name in attrs}
        task = PeriodicTask(name="", task=attrs["task"], **options)
        if mistakes := list(wrong_routing(task, by=self.context["account"])):
            raise ValidationFailed(errors=mistakes)
        return task

    def find(self, attrs: dict[str, Any]) -> PeriodicTask:
        """Return the periodic task that the caller may see; raise ValidationFailed without one."""
        tasks, field = self.context["tasks"], "periodic_task"
        task: PeriodicTask | None
        if "periodic_task_name" in attrs:
            field = "periodic_task_name"
            task = find_by_name(tasks, attrs[field])
        else:
            task = tasks.filter(pk=attrs[field]).first()
        if task is None:
            detail = (
                f"There is no periodic task with this {'id' if field == SOURCES[0] else 'name'}."
            )
            mistake = Mistake(pointer=f"/{field}", code="does_not_exist", detail=detail)
            raise ValidationFailed(errors=[mistake])
        return task


def wrong_source(attrs: dict[str, Any]) -> list[Mistake]:
    """Refuse none or several of SOURCES, and options of a periodic task."""
    sent = [source for source in SOURCES if source in attrs]
    if len(sent) != 1:
        names = f"{', '.join(SOURCES[:-1])} or {SOURCES[-1]}"
        detail = f"Send exactly one of {names}."
        code = "ambiguous" if sent else "required"
        places = sent[1:] or [SOURCES[0]]
        return [Mistake(pointer=f"/{place}", code=code, detail=detail) for place in places]
    if "task" in attrs:
        return []
    detail = "A periodic task has its own: omit this field, or send `task` with `args`."
    return [
        Mistake(pointer=f"/{option}", code="ambiguous", detail=detail)
        for option in OPTIONS
        if option in attrs
    ]
