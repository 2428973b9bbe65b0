"""Operations on /api/v1/periodic-tasks/by-name/{name}/."""

from urllib.parse import quote

import pytest
from django_celery_beat.models import PeriodicTask

from tests.api.periodic_tasks.examples import TASKS, imports, mistakes, stored, without
from tests.client import contract
from tests.conftest import caller

pytestmark = pytest.mark.both_databases

BY_NAME = f"{TASKS}by-name/"
BODY_WITHOUT_NAME = without(imports(), "name")
NAMES = ["import", "a/b", "ä ö", "100%", "by-name", "x/", "1", "a?b"]


def url_of(name: str) -> str:
    """Return the URL of the periodic task with this name."""
    return f"{BY_NAME}{quote(name, safe='')}/"


def test_put_by_name_creates_then_replaces(api):
    created = api.put(f"{BY_NAME}Nightly import/", imports(name="Nightly import"))
    replaced = api.put(f"{BY_NAME}Nightly import/", {**BODY_WITHOUT_NAME, "description": "New"})

    assert (created.status_code, replaced.status_code) == (201, 200)
    assert created.headers["Location"].endswith(f"{TASKS}{created.json()['id']}/")
    assert replaced.json()["id"] == created.json()["id"]
    assert replaced.json()["description"] == "New"
    assert PeriodicTask.objects.count() == 1


def test_put_by_name_is_idempotent(api):
    first = api.put(f"{BY_NAME}import/", BODY_WITHOUT_NAME)
    second = api.put(f"{BY_NAME}import/", BODY_WITHOUT_NAME)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("name", NAMES)
def test_put_by_name_accepts_any_name(api, name):
    response = api.put(url_of(name), BODY_WITHOUT_NAME)

    assert response.status_code == 201
    assert response.json()["name"] == name


def test_put_by_name_with_another_name_in_the_body_renames(api):
    api.put(f"{BY_NAME}old/", BODY_WITHOUT_NAME)

    response = api.put(f"{BY_NAME}old/", imports(name="new"))

    assert response.status_code == 200
    assert response.json()["name"] == "new"


@pytest.mark.parametrize("address", ["old", "x" * 201])
def test_put_by_name_cannot_rename_a_missing_task(api, address):
    response = api.put(f"{BY_NAME}{address}/", imports(name="new"))

    assert response.status_code == 400
    assert mistakes(response) == [("/name", "not_the_address")]
    assert not PeriodicTask.objects.exists()


def test_schema_of_put_by_name_allows_omitting_the_name():
    for body in (BODY_WITHOUT_NAME, imports()):
        assert not contract().errors_of(body, "#/components/schemas/NamedPeriodicTaskRequest")


@pytest.mark.parametrize(("length", "status"), [(200, 201), (201, 400)])
def test_name_in_the_url_has_the_same_maximum_length(api, length, status):
    assert api.put(f"{BY_NAME}{'x' * length}/", BODY_WITHOUT_NAME).status_code == status


def test_put_by_name_resets_omitted_fields_to_defaults(api):
    api.put(
        f"{BY_NAME}import/", {**BODY_WITHOUT_NAME, "enabled": False, "labels": {"team": "sales"}}
    )

    response = api.put(f"{BY_NAME}import/", BODY_WITHOUT_NAME)

    assert (response.json()["enabled"], response.json()["labels"]) == (True, {})


def test_put_by_name_with_a_mistake_is_refused(api):
    response = api.put(f"{BY_NAME}import/", {**BODY_WITHOUT_NAME, "args": []})

    assert response.status_code == 400
    assert ("/kwargs/arg1", "missing_argument") in mistakes(response)
    assert not PeriodicTask.objects.exists()


def test_put_by_name_with_if_none_match_only_creates(api):
    first = api.put(f"{BY_NAME}import/", BODY_WITHOUT_NAME, HTTP_IF_NONE_MATCH="*")
    second = api.put(f"{BY_NAME}import/", BODY_WITHOUT_NAME, HTTP_IF_NONE_MATCH="*")

    assert (first.status_code, second.status_code) == (201, 412)


@pytest.mark.parametrize("tag", ["", '"tag"', "**"])
def test_put_by_name_with_if_none_match_of_a_tag_is_refused(api, tag):
    response = api.put(f"{BY_NAME}import/", BODY_WITHOUT_NAME, HTTP_IF_NONE_MATCH=tag)

    assert response.status_code == 400
    assert "If-None-Match accepts only * for a change." in response.json()["detail"]
    assert not PeriodicTask.objects.exists()


def test_put_by_name_with_if_match_only_replaces(api):
    refused = api.put(f"{BY_NAME}import/", BODY_WITHOUT_NAME, HTTP_IF_MATCH="*")
    created = api.put(f"{BY_NAME}import/", BODY_WITHOUT_NAME)
    tag = created.headers["ETag"]

    first = api.put(
        f"{BY_NAME}import/", {**BODY_WITHOUT_NAME, "enabled": False}, HTTP_IF_MATCH=tag
    )
    second = api.put(f"{BY_NAME}import/", BODY_WITHOUT_NAME, HTTP_IF_MATCH=tag)

    assert [answer.status_code for answer in (refused, created, first, second)] == [
        412,
        201,
        200,
        412,
    ]


def test_put_by_name_with_name_of_another_account_is_refused(api):
    stored(name="import")
    other = caller("other", scopes=["periodic-tasks:write"])

    response = other.put(f"{BY_NAME}import/", BODY_WITHOUT_NAME)

    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"


def test_post_by_name_is_not_allowed(api):
    assert api.post(f"{BY_NAME}import/").status_code == 405


# --- The same task by id and by name ------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_get_by_name_returns_the_task_of_its_id(api, name):
    task = stored(name=name)

    by_name, by_id = api.get(url_of(name)), api.get(f"{TASKS}{task.pk}/")

    assert by_name.json() == by_id.json()
    assert by_name.headers["ETag"] == by_id.headers["ETag"]
    assert api.get(url_of(name), HTTP_IF_NONE_MATCH=by_id.headers["ETag"]).status_code == 304


@pytest.mark.parametrize("name", NAMES)
def test_patch_by_name_changes_the_task(api, name):
    task = stored(name=name)

    response = api.patch(url_of(name), {"description": "New"})

    assert response.status_code == 200
    assert response.json() == api.get(f"{TASKS}{task.pk}/").json()
    assert response.json()["description"] == "New"


def test_patch_by_name_renames(api):
    stored(name="old")

    response = api.patch(url_of("old"), {"name": "new"})

    assert response.json()["name"] == "new"
    assert api.get(url_of("old")).status_code == 404
    assert api.get(url_of("new")).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_delete_by_name_deletes_the_task(api, name):
    stored(name=name)
    stored(name="another")

    assert api.delete(url_of(name)).status_code == 204
    assert [task.name for task in PeriodicTask.objects.all()] == ["another"]


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_change_by_name_with_a_stale_tag_is_refused(api, method):
    task = stored(name="import")
    tag = api.get(f"{TASKS}{task.pk}/").headers["ETag"]
    api.patch(url_of("import"), {"description": "New"})

    response = getattr(api, method)(url_of("import"), {}, HTTP_IF_MATCH=tag)

    assert (response.status_code, response.json()["code"]) == (412, "revision_mismatch")
    assert PeriodicTask.objects.get().description == "New"


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_dry_run_by_name_changes_nothing(api, method):
    stored(name="import")

    response = getattr(api, method)(f"{url_of('import')}?dry_run=true", {"description": "New"})

    assert response.status_code in {200, 204}
    assert PeriodicTask.objects.get().description != "New"


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_unknown_name_is_not_found(api, method):
    assert getattr(api, method)(url_of("nothing"), {}).status_code == 404


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_name_of_another_accounts_task_is_not_found(api, method):
    stored(name="import")
    scopes = [f"periodic-tasks:{verb}" for verb in ("read", "write", "delete")]
    other = caller("other", scopes=scopes)

    assert getattr(other, method)(url_of("import"), {}).status_code == 404
    assert PeriodicTask.objects.filter(name="import").exists()
