"""The tasks that this process has registered with Celery."""

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from celery import Celery, Task
from celery.app import app_or_default
from celery.app.registry import TaskRegistry

from scheduler_api.catalogue.signatures import TaskSignature, signature_of

AnyTask: TypeAlias = Task[Any, Any]


@dataclass(frozen=True, kw_only=True)
class RegisteredTask:
    """A task by the name that messages call it; ``doc`` is '' when its author wrote none.

    ``is_recorded`` where ``Task.before_start`` is Celery's, in whose place runs are recorded.
    """

    name: str
    doc: str
    signature: TaskSignature
    is_recorded: bool = True


def registered_tasks(app: Celery | None = None) -> list[RegisteredTask]:
    """All tasks of an app (by default the current one) but Celery's own, sorted by name."""
    tasks = _load_tasks(app_or_default(app))
    return [_describe(tasks[name]) for name in sorted(tasks) if not _is_celerys_own(name)]


def get_task(name: str, app: Celery | None = None) -> RegisteredTask | None:
    """The task of that name; None when this process has none, or it is Celery's own."""
    tasks = _load_tasks(app_or_default(app))
    return None if name not in tasks or _is_celerys_own(name) else _describe(tasks[name])


def is_registered(name: str, app: Celery | None = None) -> bool:
    """Tell whether this process has a task of that name: Celery's own count, too."""
    return name in _load_tasks(app_or_default(app))


@cache
def _load_tasks(app: Celery) -> TaskRegistry:
    """The registry of the app, with the tasks of all modules that a worker would import.

    As in a worker, Celery's fixup for Django runs the system checks before.
    """
    app.loader.import_default_modules()
    return app.tasks


@cache
def _describe(task: AnyTask) -> RegisteredTask:
    return RegisteredTask(
        name=task.name,
        doc=_doc(task),
        signature=signature_of(task.run),
        is_recorded=type(task).before_start is Task.before_start,
    )


def _doc(task: AnyTask) -> str:
    """The docstring of its function, or else of its class, but not what celery.Task says."""
    inherited = Task.run.__doc__
    docs = [task.run.__doc__, type(task).__doc__]
    return inspect.cleandoc(next((doc for doc in docs if doc and doc != inherited), ""))


def _is_celerys_own(name: str) -> bool:
    return name.startswith("celery.")
