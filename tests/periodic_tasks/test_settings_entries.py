"""What CELERY_BEAT_SCHEDULE names, and what it named once."""

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
    """Store entries of these names, as beat does when it starts."""

    def start_with(*names: str) -> None:
        entry = {"task": "project.tasks.heartbeat", "schedule": timedelta(hours=1)}
        monkeypatch.setitem(current_app.conf, "beat_schedule", dict.fromkeys(names, entry))
        store_entries(current_app)

    return start_with


def standing(api: Any) -> dict[str, tuple[str, bool]]:
    results = api.get(TASKS).json()["results"]
    return {task["name"]: (task["managed_by"], task["enabled"]) for task in results}


def test_entries_of_the_settings_are_managed_by_them(api, start):
    stored(name="by hand")

    start("one", "two")

    assert standing(api) == {
        "by hand": ("admin", True),
        "one": ("settings", True),
        "two": ("settings", True),
    }


def test_an_entry_that_is_removed_is_disabled_and_one_that_returns_enabled(api, start, caplog):
    start("one", "two")

    start("one")
    assert standing(api) == {"one": ("settings", True), "two": ("admin", False)}
    assert "Disabling two" in caplog.text

    start("one", "two")
    assert standing(api) == {"one": ("settings", True), "two": ("settings", True)}


def test_an_entry_that_somebody_disabled_stays_so(api, start):
    start("one")
    pk = PeriodicTask.objects.get(name="one").pk
    api.patch(f"{TASKS}{pk}/", {"enabled": False})

    start("one")

    assert standing(api) == {"one": ("settings", False)}


def test_what_was_disabled_before_anybody_asked_who_manages_it_stays_so(api, start):
    stored(name="one", enabled=False)

    start("one")

    assert standing(api) == {"one": ("settings", False)}


def test_one_that_is_paused_is_disabled_for_when_it_resumes(api, start):
    start("one")
    at = f"{TASKS}{PeriodicTask.objects.get(name='one').pk}/"
    api.post(f"{at}pause/")

    start()
    assert (api.get(at).json()["paused"], standing(api)["one"]) == (True, ("admin", False))

    start("one")
    assert (api.get(at).json()["paused"], standing(api)["one"]) == (True, ("settings", True))
    assert api.post(f"{at}resume/").json()["enabled"] is True


def test_what_an_account_owns_is_not_enabled_by_the_settings(api, start):
    api.post(TASKS, heartbeat(name="one", enabled=False))

    start("one")

    assert standing(api) == {"one": ("settings", False)}


def test_an_entry_that_cannot_be_stored_stands_in_the_way_of_no_other(api, monkeypatch, caplog):
    good = {"task": "project.tasks.heartbeat", "schedule": timedelta(hours=1)}
    bad = {"task": "project.tasks.heartbeat", "schedule": "sometimes"}
    monkeypatch.setitem(current_app.conf, "beat_schedule", {"bad": bad, "good": good})

    store_entries(current_app)

    assert standing(api) == {"good": ("settings", True)}
    assert "bad cannot be stored" in caplog.text


def test_where_results_expire_they_are_cleaned_up_as_by_stock_beat(api, monkeypatch, start):
    monkeypatch.setitem(current_app.conf, "result_expires", timedelta(days=1))

    start("one")

    assert standing(api).keys() == {"one", "celery.backend_cleanup"}
