"""Synchronization of CELERY_BEAT_SCHEDULE with the stored periodic tasks."""

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.settings_entries import store_entries
from tests.api.periodic_tasks.examples import TASKS, heartbeat, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def start(monkeypatch: Any) -> Any:
    """Store entries with these names, as beat does at its start."""

    def start_with(*names: str) -> None:
        entry = {"task": "project.tasks.heartbeat", "schedule": timedelta(hours=1)}
        monkeypatch.setitem(current_app.conf, "beat_schedule", dict.fromkeys(names, entry))
        store_entries(current_app)

    return start_with


def states(api: Any) -> dict[str, tuple[str, bool]]:
    results = api.get(TASKS).json()["results"]
    return {task["name"]: (task["managed_by"], task["enabled"]) for task in results}


def test_entry_of_the_settings_is_managed_by_settings(api, start):
    stored(name="by hand")

    start("one", "two")

    assert states(api) == {
        "by hand": ("admin", True),
        "one": ("settings", True),
        "two": ("settings", True),
    }


def test_removed_entry_is_disabled_and_enabled_when_it_returns(api, start, caplog):
    start("one", "two")

    start("one")
    assert states(api) == {"one": ("settings", True), "two": ("admin", False)}
    assert "Disabling two" in caplog.text

    start("one", "two")
    assert states(api) == {"one": ("settings", True), "two": ("settings", True)}


def test_entry_disabled_by_a_caller_stays_disabled(api, start):
    start("one")
    pk = PeriodicTask.objects.get(name="one").pk
    api.patch(f"{TASKS}{pk}/", {"enabled": False})

    start("one")

    assert states(api) == {"one": ("settings", False)}


def test_disabled_unmanaged_entry_stays_disabled(api, start):
    stored(name="one", enabled=False)

    start("one")

    assert states(api) == {"one": ("settings", False)}


def test_removed_entry_of_a_paused_task_is_disabled_after_the_pause(api, start):
    start("one")
    at = f"{TASKS}{PeriodicTask.objects.get(name='one').pk}/"
    api.post(f"{at}pause/")

    start()
    assert (api.get(at).json()["paused"], states(api)["one"]) == (True, ("admin", False))

    start("one")
    assert (api.get(at).json()["paused"], states(api)["one"]) == (True, ("settings", True))
    assert api.post(f"{at}resume/").json()["enabled"] is True


def test_entry_owned_by_an_account_is_not_enabled(api, start):
    api.post(TASKS, heartbeat(name="one", enabled=False))

    start("one")

    assert states(api) == {"one": ("settings", False)}


def test_invalid_entry_does_not_block_others(api, monkeypatch, caplog):
    good = {"task": "project.tasks.heartbeat", "schedule": timedelta(hours=1)}
    bad = {"task": "project.tasks.heartbeat", "schedule": "sometimes"}
    monkeypatch.setitem(current_app.conf, "beat_schedule", {"bad": bad, "good": good})

    store_entries(current_app)

    assert states(api) == {"good": ("settings", True)}
    assert "bad cannot be stored" in caplog.text


def test_backend_cleanup_entry_is_added_if_results_expire(api, monkeypatch, start):
    monkeypatch.setitem(current_app.conf, "result_expires", timedelta(days=1))

    start("one")

    assert states(api).keys() == {"one", "celery.backend_cleanup"}
