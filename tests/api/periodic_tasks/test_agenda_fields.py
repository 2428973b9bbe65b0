"""Fields from the agenda, which only beat writes: `last_error` and `missed_count`."""

import pytest

from scheduler_api.access.models import AuditEntry
from scheduler_api.periodic_tasks.agenda import Agenda
from tests.api.periodic_tasks.examples import TASKS, address, heartbeat, stored, update_agenda

pytestmark = pytest.mark.both_databases

UNKNOWN_ZONE = {"last_error": "Its zone is unknown.", "failures": 2, "missed_count": 7}


def agenda_fields(answer):
    return {name: answer[name] for name in ("last_error", "missed_count")}


def test_agenda_fields_show_the_columns_of_beat(api):
    task = stored()
    update_agenda(task, **UNKNOWN_ZONE)

    shown = api.get(address(task)).json()

    assert agenda_fields(shown) == {"last_error": "Its zone is unknown.", "missed_count": 7}
    assert api.get(TASKS).json()["results"] == [shown]


def test_agenda_fields_of_a_new_task_are_empty(api):
    assert agenda_fields(api.post(TASKS, heartbeat()).json()) == {
        "last_error": "",
        "missed_count": 0,
    }


def test_agenda_fields_without_an_agenda_row_are_empty(api):
    task = stored()
    Agenda.objects.all().delete()

    shown = api.get(address(task))

    assert shown.status_code == 200
    assert agenda_fields(shown.json()) == {"last_error": "", "missed_count": 0}


def test_agenda_fields_do_not_change_the_etag(api):
    task = stored()
    before = api.get(address(task))

    update_agenda(task, **UNKNOWN_ZONE)
    after = api.get(address(task))
    changed = api.patch(
        address(task), {"enabled": False}, headers={"If-Match": before.headers["ETag"]}
    )

    assert after.headers["ETag"] == before.headers["ETag"]
    assert after.json()["revision"] == before.json()["revision"]
    assert changed.status_code == 200


@pytest.mark.parametrize("name", ["last_error", "missed_count"])
def test_agenda_fields_sent_by_callers_are_ignored(api, name):
    task = stored()
    update_agenda(task, **UNKNOWN_ZONE)
    shown = api.get(address(task)).json()

    response = api.put(address(task), {**shown, name: "something else"})

    assert response.status_code == 200
    assert response.json() == shown
    assert not AuditEntry.objects.exists()
