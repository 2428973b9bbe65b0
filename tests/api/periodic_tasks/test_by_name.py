"""`PUT periodic-tasks/by-name/{name}/` creates or replaces: twice is once."""

from urllib.parse import quote

import pytest
from django_celery_beat.models import PeriodicTask

from tests.api.periodic_tasks.examples import TASKS, imports, mistakes, stored, without
from tests.client import contract
from tests.conftest import caller

BY_NAME = f"{TASKS}by-name/"
NAMELESS = without(imports(), "name")


def test_it_is_created_and_then_replaced(api):
    created = api.put(f"{BY_NAME}Nightly import/", imports(name="Nightly import"))
    replaced = api.put(f"{BY_NAME}Nightly import/", {**NAMELESS, "description": "New"})

    assert (created.status_code, replaced.status_code) == (201, 200)
    assert created.headers["Location"].endswith(f"{TASKS}{created.json()['id']}/")
    assert replaced.json()["id"] == created.json()["id"]
    assert replaced.json()["description"] == "New"
    assert PeriodicTask.objects.count() == 1


def test_twice_is_once(api):
    first = api.put(f"{BY_NAME}import/", NAMELESS)
    second = api.put(f"{BY_NAME}import/", NAMELESS)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("name", ["a/b", "ä ö", "100%", "by-name", "x/", "1", "a?b"])
def test_any_name_has_an_address(api, name):
    response = api.put(f"{BY_NAME}{quote(name, safe='')}/", NAMELESS)

    assert response.status_code == 201
    assert response.json()["name"] == name


def test_another_name_in_the_body_renames_it(api):
    api.put(f"{BY_NAME}old/", NAMELESS)

    response = api.put(f"{BY_NAME}old/", imports(name="new"))

    assert response.status_code == 200
    assert response.json()["name"] == "new"


@pytest.mark.parametrize("address", ["old", "x" * 201])
def test_what_is_not_there_cannot_be_renamed(api, address):
    response = api.put(f"{BY_NAME}{address}/", imports(name="new"))

    assert response.status_code == 400
    assert mistakes(response) == [("/name", "not_the_address")]
    assert not PeriodicTask.objects.exists()


def test_the_schema_lets_the_name_be_left_out():
    for body in (NAMELESS, imports()):
        assert not contract().errors_of(body, "#/components/schemas/NamedPeriodicTaskRequest")


@pytest.mark.parametrize(("length", "status"), [(200, 201), (201, 400)])
def test_a_name_is_as_long_in_the_address_as_in_the_body(api, length, status):
    assert api.put(f"{BY_NAME}{'x' * length}/", NAMELESS).status_code == status


def test_what_is_left_out_goes_back_to_its_default(api):
    api.put(f"{BY_NAME}import/", {**NAMELESS, "enabled": False, "labels": {"team": "sales"}})

    response = api.put(f"{BY_NAME}import/", NAMELESS)

    assert (response.json()["enabled"], response.json()["labels"]) == (True, {})


def test_what_is_wrong_is_refused(api):
    response = api.put(f"{BY_NAME}import/", {**NAMELESS, "args": []})

    assert response.status_code == 400
    assert ("/kwargs/arg1", "missing_argument") in mistakes(response)
    assert not PeriodicTask.objects.exists()


def test_if_none_match_creates_and_never_replaces(api):
    first = api.put(f"{BY_NAME}import/", NAMELESS, HTTP_IF_NONE_MATCH="*")
    second = api.put(f"{BY_NAME}import/", NAMELESS, HTTP_IF_NONE_MATCH="*")

    assert (first.status_code, second.status_code) == (201, 412)


@pytest.mark.parametrize("tag", ["", '"tag"', "**"])
def test_if_none_match_takes_nothing_else(api, tag):
    response = api.put(f"{BY_NAME}import/", NAMELESS, HTTP_IF_NONE_MATCH=tag)

    assert response.status_code == 400
    assert "If-None-Match takes nothing but * here." in response.json()["detail"]
    assert not PeriodicTask.objects.exists()


def test_if_match_replaces_and_never_creates(api):
    refused = api.put(f"{BY_NAME}import/", NAMELESS, HTTP_IF_MATCH="*")
    created = api.put(f"{BY_NAME}import/", NAMELESS)
    tag = created.headers["ETag"]

    first = api.put(f"{BY_NAME}import/", {**NAMELESS, "enabled": False}, HTTP_IF_MATCH=tag)
    second = api.put(f"{BY_NAME}import/", NAMELESS, HTTP_IF_MATCH=tag)

    assert [answer.status_code for answer in (refused, created, first, second)] == [
        412,
        201,
        200,
        412,
    ]


def test_a_name_that_another_account_has_taken_is_refused(api):
    stored(name="import")
    other = caller("other", scopes=["periodic-tasks:write"])

    response = other.put(f"{BY_NAME}import/", NAMELESS)

    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"


@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_other_methods_are_not_allowed(api, method):
    assert getattr(api, method)(f"{BY_NAME}import/").status_code == 405
