"""The tasks that are registered with Celery in this process."""

import inspect
from collections.abc import Mapping, Sequence
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
    """A registered task by the name that messages use.

    ``doc`` is empty if the task has no docstring. ``is_recorded`` is false if the task overrides
    ``Task.before_start``: the worker replaces Celery's to record the start of a run.
    ``is_binding`` says whether a call that does not fit the signature fails for certain.
    """

    name: str
    doc: str
    signature: TaskSignature
    is_recorded: bool = True
    is_binding: bool = True


def registered_tasks(app: Celery | None = None) -> list[RegisteredTask]:
    """Return the tasks of an app (default: the current one) without Celery's, sorted by name."""
    tasks = _load_tasks(app_or_default(app))
    return [_describe(tasks[name]) for name in sorted(tasks) if not _is_celerys_own(name)]


def get_task(name: str, app: Celery | None = None) -> RegisteredTask | None:
    """Return the task of a name; None if this process has none, or Celery built it in."""
    tasks = _load_tasks(app_or_default(app))
    return None if name not in tasks or _is_celerys_own(name) else _describe(tasks[name])


def is_registered(name: str, app: Celery | None = None) -> bool:
    """Return whether this process has a task of a name, Celery's built-in tasks included."""
    return name in _load_tasks(app_or_default(app))


def refusal_of_call(
    name: str, args: Sequence[object], kwargs: Mapping[str, object], app: Celery | None = None
) -> str:
    """Return why Celery would refuse to send a call of a registered task; "" if it would not.

    It is the check of ``Task.apply_async``. A class that overrides this method may add arguments,
    so its calls are not checked here. The text contains no value of an argument.
    """
    task = _load_tasks(app_or_default(app))[name]
    check = getattr(task, "__header__", None)
    if not task.typing or check is None or type(task).apply_async is not Task.apply_async:
        return ""
    try:
        check(*args, **kwargs)
    except TypeError as error:
        return str(error)
    return ""


@cache
def _load_tasks(app: Celery) -> TaskRegistry:
    """Return the registry of an app, after importing the modules that a worker would import.

    As in a worker, Celery's fixup for Django runs the system checks first.
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
        is_binding=_is_binding(task),
    )


def _is_binding(task: AnyTask) -> bool:
    """Return whether the function gets the arguments of the message, and no others.

    A decorator may add some: ``inspect.signature`` follows ``__wrapped__``, and Celery's own check
    does not. So may a class that overrides ``__call__``.
    """
    is_plain = type(task).__call__ is Task.__call__ and not hasattr(task.run, "__wrapped__")
    return bool(task.typing) and is_plain


def _doc(task: AnyTask) -> str:
    """Return the docstring of the function, or else of the class, but not of celery.Task."""
    inherited = Task.run.__doc__
    docs = [task.run.__doc__, type(task).__doc__]
    return inspect.cleandoc(next((doc for doc in docs if doc and doc != inherited), ""))


def _is_celerys_own(name: str) -> bool:
    return name.startswith("celery.")
