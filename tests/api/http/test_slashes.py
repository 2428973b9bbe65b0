"""Each URL works with and without its final slash, for every method, without a redirect."""

import pytest
from django_celery_beat.models import IntervalSchedule

from tests.api.http.responses import refusal
from tests.api.schedules.bodies import INTERVAL, INTERVALS, KINDS, PERIODIC_TASKS, PREVIEW

spellings = pytest.mark.parametrize("spell", [str, lambda path: path.rstrip("/")], ids=["/", ""])


@spellings
@pytest.mark.parametrize("kind", KINDS)
def test_schedule_operations_work_without_the_final_slash(api, kind, spell):
    path, body, other = KINDS[kind]

    created = api.post(spell(path), body)
    address = spell(f"{path}{created.json()['id']}/")

    assert created.status_code == 201
    assert api.get(spell(path)).json()["results"] == [created.json()]
    assert api.get(address).json() == created.json()
    assert api.get(spell(f"{address.rstrip('/')}/upcoming/")).status_code == 200
    assert api.patch(address, other).json().items() >= other.items()
    assert api.put(address, body).json() == {**created.json(), "revision": 3}
    assert api.delete(address).status_code == 204
    assert refusal(api.get(address)) == (404, "not_found")


@spellings
def test_preview_works_without_the_final_slash(api, spell):
    response = api.post(spell(PREVIEW), {"schedule": {"type": "interval", **INTERVAL}})

    assert response.status_code == 200


@spellings
def test_query_is_kept_without_the_final_slash(api, spell):
    for every in (1, 2, 3):
        api.post(INTERVALS, {"every": every, "period": "days"})

    first = api.get(f"{spell(INTERVALS)}?page_size=2&ordering=-id").json()
    second = api.get(first["next"]).json()

    assert [row["every"] for row in first["results"]] == [3, 2]
    assert [row["every"] for row in second["results"]] == [1]


@spellings
def test_location_has_the_final_slash(api, spell):
    created = api.post(spell(INTERVALS), INTERVAL)

    assert created.headers["Location"].endswith(f"{INTERVALS}{created.json()['id']}/")


@spellings
def test_problem_instance_is_the_requested_path(api, spell):
    path = spell(f"{INTERVALS}999/")

    assert api.get(path).json()["instance"] == path


@spellings
@pytest.mark.parametrize("path", ["/api/v1/nothing/", "/api/v2/", f"{PERIODIC_TASKS}nothing/"])
def test_unknown_path_without_a_slash_is_not_found(api, spell, path):
    assert refusal(api.get(spell(path))) == (404, "not_found")


def test_two_final_slashes_are_another_path(api):
    row = IntervalSchedule.objects.create(**INTERVAL)

    assert refusal(api.get(f"{INTERVALS}{row.pk}//")) == (404, "not_found")
