"""Export a manifest, plan it and apply it."""

import json

import pytest
import yaml
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from scheduler_api.access.models import AuditEntry
from tests.api.manifest.requests import (
    APPLY,
    JSON,
    MANIFEST,
    PRUNE,
    VARIED,
    YAML,
    exported,
    exported_entries,
    result_of,
    send_manifest,
)
from tests.api.periodic_tasks.examples import (
    EVERY_KIND,
    TASKS,
    heartbeat,
    imports,
    names,
)

pytestmark = pytest.mark.both_databases


# --- Round trip --------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [JSON, YAML])
def test_manifest_applied_to_an_empty_database_exports_the_same_bytes(api, media_type):
    for body in VARIED:
        assert api.post(TASKS, body).status_code == 201
    first = exported(api, media_type)
    PeriodicTask.objects.all().delete()
    IntervalSchedule.objects.all().delete()

    applied = api.post(APPLY, first.decode(), content_type=media_type)

    assert len(result_of(applied)["created"]) == len(VARIED)
    assert exported(api, media_type) == first
    planned = result_of(
        api.post(PRUNE.replace("apply", "plan"), first.decode(), content_type=media_type)
    )
    assert planned["unchanged"] == len(VARIED)
    assert planned["created"] == planned["changed"] == planned["deleted"] == []


def test_manifest_is_the_same_in_json_and_yaml(api):
    for body in VARIED:
        api.post(TASKS, body)

    assert yaml.safe_load(exported(api, YAML)) == json.loads(exported(api, JSON))


def test_manifest_omits_ids_and_defaults(api):
    api.post(TASKS, imports())

    assert exported(api, YAML).decode() == (
        "version: 1\n"
        "periodic_tasks:\n"
        "- name: Import contacts\n"
        "  task: project.tasks.import_contacts\n"
        "  schedule:\n"
        "    type: interval\n"
        "    every: 30\n"
        "    period: seconds\n"
        "  args:\n"
        "  - arg1\n"
        "  - arg2\n"
        "  kwargs:\n"
        "    be_careful: true\n"
    )


def test_manifest_without_tasks_is_empty(api):
    assert exported(api) == b'{"version":1,"periodic_tasks":[]}'


def test_manifest_includes_the_zone_of_a_crontab(api):
    api.post(TASKS, heartbeat(schedule={"type": "crontab", "minute": "5"}))

    (entry,) = exported_entries(api)
    assert entry["schedule"] == {"type": "crontab", "minute": "5", "timezone": "UTC"}


# --- Plan and apply ----------------------------------------------------------------------------


def test_plan_reports_the_changes_of_apply_and_changes_nothing(api):
    send_manifest(api, heartbeat(name="changed"), heartbeat(name="gone"), heartbeat(name="kept"))
    wanted = [
        heartbeat(name="changed", labels={"team": "ops"}, description="New"),
        heartbeat(name="kept"),
        heartbeat(name="new"),
    ]
    before = api.get(TASKS).json()

    planned = result_of(send_manifest(api, *wanted, to=f"{MANIFEST}?mode=plan&prune=true"))
    assert api.get(TASKS).json() == before
    applied = result_of(send_manifest(api, *wanted, to=PRUNE))

    assert (planned.pop("mode"), applied.pop("mode")) == ("plan", "apply")
    assert planned == applied
    assert applied == {
        "created": ["new"],
        "changed": [
            {
                "name": "changed",
                "before": {"description": "", "labels": {}},
                "after": {"description": "New", "labels": {"team": "ops"}},
            }
        ],
        "deleted": ["gone"],
        "unchanged": 1,
        "warnings": [],
    }
    assert sorted(names(api.get(TASKS))) == ["changed", "kept", "new"]


def test_manifest_mode_defaults_to_plan(api):
    assert result_of(send_manifest(api, heartbeat(), to=MANIFEST))["mode"] == "plan"
    assert names(api.get(TASKS)) == []


def test_dry_run_of_apply_changes_nothing(api):
    assert result_of(send_manifest(api, heartbeat(), to=f"{APPLY}&dry_run=true"))["created"] == [
        "Heartbeat"
    ]
    assert names(api.get(TASKS)) == []


def test_apply_is_idempotent(api):
    send_manifest(api, *VARIED)
    before, entries = api.get(TASKS).json(), AuditEntry.objects.count()

    again = result_of(send_manifest(api, *VARIED))

    assert (again["unchanged"], again["created"], again["changed"]) == (len(VARIED), [], [])
    assert api.get(TASKS).json() == before
    assert AuditEntry.objects.count() == entries


def test_apply_resets_omitted_fields_to_their_defaults(api):
    send_manifest(api, heartbeat(description="Old", enabled=False))

    send_manifest(api, heartbeat())

    (task,) = api.get(TASKS).json()["results"]
    assert (task["description"], task["enabled"]) == ("", True)


def test_plan_reports_a_changed_schedule_without_ids(api):
    send_manifest(api, heartbeat())

    (changed,) = result_of(send_manifest(api, heartbeat(schedule=EVERY_KIND[1])))["changed"]

    assert changed["before"]["schedule"] == {"type": "interval", "every": 30, "period": "seconds"}
    assert changed["after"]["schedule"]["timezone"] == "Europe/Berlin"


def test_pause_does_not_change_the_manifest(api):
    send_manifest(api, heartbeat())
    pk = PeriodicTask.objects.get().pk
    before = exported(api)
    api.post(f"{TASKS}{pk}/pause/", {"note": "Too loud"})

    assert exported(api) == before
    assert result_of(send_manifest(api, heartbeat()))["unchanged"] == 1
    assert api.get(f"{TASKS}{pk}/").json()["paused"] is True


def test_apply_of_500_tasks_needs_few_queries(api, django_assert_max_num_queries):
    with django_assert_max_num_queries(60):
        response = send_manifest(api, *(heartbeat(name=f"Task {number}") for number in range(500)))

    assert len(result_of(response)["created"]) == 500
