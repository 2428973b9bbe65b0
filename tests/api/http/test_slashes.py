"""Each address works with and without its last slash, for every method, without a redirect."""

import pytest
from django_celery_beat.models import IntervalSchedule

from tests.api.http.answers import refusal
from tests.api.schedules.bodies import INTERVAL, INTERVALS, KINDS, PERIODIC_TASKS, PREVIEW

spellings = pytest.mark.parametrize("spell", [str, lambda path: path.rstrip("/")], ids=["/", ""])


@spellings
@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_on_a_schedule(api, kind, spell):
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
def test_a_preview(api, spell):
    response = api.post(spell(PREVIEW), {"schedule": {"type": "interval", **INTERVAL}})

    assert response.status_code == 200


@spellings
def test_a_query_is_kept(api, spell):
    for every in (1, 2, 3):
        api.post(INTERVALS, {"every": every, "period": "days"})

    first = api.get(f"{spell(INTERVALS)}?page_size=2&ordering=-id").json()
    second = api.get(first["next"]).json()

    assert [row["every"] for row in first["results"]] == [3, 2]
    assert [row["every"] for row in second["results"]] == [1]


@spellings
def test_the_canonical_address_is_told(api, spell):
    created = api.post(spell(INTERVALS), INTERVAL)

    assert created.headers["Location"].endswith(f"{INTERVALS}{created.json()['id']}/")


@spellings
def test_a_problem_names_the_path_as_it_was_asked_for(api, spell):
    path = spell(f"{INTERVALS}999/")

    assert api.get(path).json()["instance"] == path


@spellings
@pytest.mark.parametrize("path", ["/api/v1/nothing/", "/api/v2/", f"{PERIODIC_TASKS}nothing/"])
def test_what_is_not_there_is_not_found(api, spell, path):
    assert refusal(api.get(spell(path))) == (404, "not_found")


def test_two_slashes_are_another_address(api):
    row = IntervalSchedule.objects.create(**INTERVAL)

    assert refusal(api.get(f"{INTERVALS}{row.pk}//")) == (404, "not_found")
