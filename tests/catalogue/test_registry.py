"""Tasks registered in a process, in each way that Celery offers to declare them."""

import functools
import sys
from types import ModuleType
from weakref import WeakSet

import pytest
from celery import Celery, Task, _state, shared_task
from celery.app import builtins
from pydantic import BaseModel

from scheduler_api.catalogue.arguments import check_arguments
from scheduler_api.catalogue.registry import RegisteredTask, get_task, registered_tasks


class Parcel(BaseModel):
    weight: float


def nothing() -> None: ...


@pytest.fixture
def app(monkeypatch):
    """An app that shares no tasks with other apps of this process, except Celery's."""
    own = {share for share in _state._on_app_finalizers if share.__module__ == builtins.__name__}
    monkeypatch.setattr(_state, "_on_app_finalizers", own)
    monkeypatch.setattr(_state, "_apps", WeakSet())
    # Without Django's fixup, which would run all system checks when the app loads its modules.
    return Celery("tests", set_as_current=False, fixups=[])


def parameters_of(task: RegisteredTask) -> dict[str, object]:
    return task.signature.schema["properties"]


def test_registered_tasks_are_sorted_without_those_of_celery(app):
    app.task(nothing, name="reports.weekly")
    app.task(nothing, name="reports.daily")

    assert [task.name for task in registered_tasks(app)] == ["reports.daily", "reports.weekly"]
    assert "celery.backend_cleanup" in app.tasks


def test_get_task_returns_name_doc_and_parameters(app):
    @app.task(name="reports.daily")
    def daily(x: int) -> None:
        """Make the report.

        It is long.
        """

    task = get_task("reports.daily", app)

    assert task.name == "reports.daily"
    assert task.doc == "Make the report.\n\nIt is long."
    assert parameters_of(task) == {"x": {"type": "integer"}}


@pytest.mark.parametrize("name", ["reports.daily", "celery.backend_cleanup", ""])
def test_get_task_of_an_unknown_or_built_in_name_is_none(app, name):
    assert get_task(name, app) is None


def test_registry_defaults_to_the_current_app(app, monkeypatch):
    app.task(nothing, name="reports.daily")
    monkeypatch.setattr(_state._tls, "current_app", app)

    assert get_task("reports.daily") is get_task("reports.daily", app)
    assert registered_tasks() == registered_tasks(app)


def test_registered_task_is_cached(app):
    app.task(nothing, name="reports.daily")

    assert get_task("reports.daily", app) is get_task("reports.daily", app)
    assert registered_tasks(app)[0] is get_task("reports.daily", app)


def test_shared_tasks_declared_late_are_registered(app):
    shared_task(nothing, name="shared.early")
    early = [task.name for task in registered_tasks(app)]
    shared_task(nothing, name="shared.late")
    late = [task.name for task in registered_tasks(app)]

    assert early == ["shared.early"]
    assert late == ["shared.early", "shared.late"]


def test_autodiscovered_task_modules_are_imported(app, tmp_path, monkeypatch):
    package = tmp_path / "discovered_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text("import app_of_the_test\napp_of_the_test.declare()\n")
    declaring = ModuleType("app_of_the_test")
    declaring.declare = lambda: app.task(nothing, name="discovered.task")
    monkeypatch.setitem(sys.modules, "app_of_the_test", declaring)
    monkeypatch.syspath_prepend(tmp_path)
    app.autodiscover_tasks(["discovered_package"])

    assert [task.name for task in registered_tasks(app)] == ["discovered.task"]


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def plain(x: int, parcel: Parcel) -> None:
    """Send it."""


def bound(self, x: int, parcel: Parcel) -> None:
    """Send it."""


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (plain, {}),
        (plain, {"pydantic": True}),
        (plain, {"autoretry_for": (OSError,)}),
        (plain, {"pydantic": True, "autoretry_for": (OSError,)}),
        (logged(plain), {}),
        (bound, {"bind": True}),
        (bound, {"bind": True, "pydantic": True}),
        (bound, {"bind": True, "autoretry_for": (OSError,)}),
        (bound, {"bind": True, "pydantic": True, "autoretry_for": (OSError,)}),
        (logged(bound), {"bind": True, "autoretry_for": (OSError,)}),
        (plain, {"typing": False}),
    ],
)
def test_registered_task_has_the_written_signature_for_any_declaration(app, function, options):
    app.task(function, name="parcels.send", **options)

    task = get_task("parcels.send", app)

    assert task.doc == "Send it."
    assert parameters_of(task) == {"x": {"type": "integer"}, "parcel": {"$ref": "#/$defs/Parcel"}}
    assert check_arguments(task.signature, [1, {"weight": 2}], {}) == []
    assert check_arguments(task.signature, [None, 1, {"weight": 2}], {}) != []


class Documented(Task):
    """Send it, says the class."""

    name = "parcels.documented"

    def run(self, x: int) -> None: ...


class DocumentedRun(Task):
    """Says the class."""

    name = "parcels.documented_run"

    def run(self, x: int) -> None:
        """Send it, says run."""


class Undocumented(Task):
    name = "parcels.undocumented"

    def run(self, x: int) -> None: ...


class WithoutRun(Task):
    name = "parcels.without_run"


@pytest.mark.parametrize(
    ("task_class", "doc"),
    [
        (Documented, "Send it, says the class."),
        (DocumentedRun, "Send it, says run."),
        (Undocumented, ""),
        (WithoutRun, ""),
    ],
)
def test_class_based_task_has_its_own_docstring_or_none(app, task_class, doc):
    app.register_task(task_class())

    assert get_task(task_class.name, app).doc == doc


def test_class_based_task_has_the_signature_of_run(app):
    app.register_task(Undocumented())

    assert parameters_of(get_task("parcels.undocumented", app)) == {"x": {"type": "integer"}}


def test_undocumented_function_has_no_doc_from_its_base_class(app):
    class Base(Task):
        """Words about all tasks."""

    app.task(nothing, name="reports.daily", base=Base)

    assert get_task("reports.daily", app).doc == ""


def test_task_that_overrides_before_start_is_not_recorded(app):
    class Own(Task):
        def before_start(self, task_id, args, kwargs): ...

    app.task(nothing, name="own", base=Own)
    app.task(nothing, name="plain")

    assert [task.is_recorded for task in registered_tasks(app)] == [False, True]
