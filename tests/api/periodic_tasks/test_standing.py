"""Where a periodic task stands: what beat tells of it, and nobody else writes."""

import pytest

from scheduler_api.access.models import AuditEntry
from scheduler_api.periodic_tasks.agenda import Agenda
from tests.api.periodic_tasks.examples import TASKS, address, agenda_of, heartbeat, stored

UNKNOWN_ZONE = {"last_error": "Its zone is unknown.", "failures": 2, "missed_count": 7}


def standing(answer):
    return {name: answer[name] for name in ("last_error", "missed_count")}


def test_what_beat_has_noted_is_told(api):
    task = stored()
    agenda_of(task, **UNKNOWN_ZONE)

    told = api.get(address(task)).json()

    assert standing(told) == {"last_error": "Its zone is unknown.", "missed_count": 7}
    assert api.get(TASKS).json()["results"] == [told]


def test_of_a_new_one_there_is_nothing_to_tell(api):
    assert standing(api.post(TASKS, heartbeat()).json()) == {"last_error": "", "missed_count": 0}


def test_one_that_has_lost_its_row_of_the_agenda_is_told_all_the_same(api):
    task = stored()
    Agenda.objects.all().delete()

    told = api.get(address(task))

    assert told.status_code == 200
    assert standing(told.json()) == {"last_error": "", "missed_count": 0}


def test_it_is_no_part_of_the_definition(api):
    task = stored()
    before = api.get(address(task))

    agenda_of(task, **UNKNOWN_ZONE)
    after = api.get(address(task))
    changed = api.patch(
        address(task), {"enabled": False}, headers={"If-Match": before.headers["ETag"]}
    )

    assert after.headers["ETag"] == before.headers["ETag"]
    assert after.json()["revision"] == before.json()["revision"]
    assert changed.status_code == 200


@pytest.mark.parametrize("name", ["last_error", "missed_count"])
def test_it_is_not_written_by_callers(api, name):
    task = stored()
    agenda_of(task, **UNKNOWN_ZONE)
    told = api.get(address(task)).json()

    response = api.put(address(task), {**told, name: "something else"})

    assert response.status_code == 200
    assert response.json() == told
    assert not AuditEntry.objects.exists()
