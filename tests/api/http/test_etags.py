"""Conditional requests: a change applies to the revision that was read, or not at all."""

import pytest
from django_celery_beat.models import PeriodicTask

TASKS = "/api/v1/periodic-tasks/"
INTERVALS = "/api/v1/interval-schedules/"
EVERY_MINUTE = {"type": "interval", "every": 1, "period": "minutes"}


@pytest.fixture
def created(api):
    return api.post(
        TASKS,
        {"name": "Beat", "task": "project.tasks.heartbeat", "schedule": EVERY_MINUTE},
    )


@pytest.fixture
def address(created):
    return f"{TASKS}{created.json()['id']}/"


def test_response_has_the_etag_of_its_definition(api, created, address):
    tag = created.headers["ETag"]

    assert tag[0] == tag[-1] == '"'
    assert api.get(address).headers["ETag"] == tag


def test_change_gives_another_etag(api, created, address):
    changed = api.patch(address, {"description": "New"})

    assert changed.headers["ETag"] != created.headers["ETag"]
    assert api.get(address).headers["ETag"] == changed.headers["ETag"]


def test_reverted_change_does_not_restore_the_etag(api, created, address):
    api.patch(address, {"description": "New"})

    back = api.patch(address, {"description": ""})

    assert back.headers["ETag"] != created.headers["ETag"]


def test_change_by_another_writer_gives_another_etag(api, created, address):
    PeriodicTask.objects.filter(name="Beat").update(description="By the ORM")

    assert api.get(address).headers["ETag"] != created.headers["ETag"]


def test_change_of_the_schedule_gives_another_etag(api, created, address):
    schedule = created.json()["interval"]

    api.patch(f"{INTERVALS}{schedule}/", {"every": 2})

    assert api.get(address).headers["ETag"] != created.headers["ETag"]


def test_dispatch_keeps_the_etag(api, created, address):
    PeriodicTask.objects.filter(name="Beat").update(
        last_run_at="2027-01-01T00:00:00Z", total_run_count=7
    )

    assert api.get(address).headers["ETag"] == created.headers["ETag"]


def test_change_without_difference_keeps_the_etag(api, created, address):
    same = api.put(address, created.json())

    assert same.headers["ETag"] == created.headers["ETag"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("tag", ['"another"', "W/{tag}", '"a", "b"', '"*"', '"a,*,b"'])
def test_change_with_stale_if_match_is_refused(api, created, address, method, tag):
    header = tag.format(tag=created.headers["ETag"])

    response = getattr(api, method)(address, created.json(), HTTP_IF_MATCH=header)

    assert response.status_code == 412
    assert response.json()["code"] == "revision_mismatch"
    assert api.get(address).headers["ETag"] == created.headers["ETag"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("tag", ["{tag}", "*", '"another", {tag}'])
def test_change_with_current_if_match_is_made(api, created, address, method, tag):
    header = tag.format(tag=created.headers["ETag"])

    response = getattr(api, method)(address, created.json(), HTTP_IF_MATCH=header)

    assert response.status_code == (204 if method == "delete" else 200)


def test_second_of_two_changes_with_the_same_etag_is_refused(api, created, address):
    tag = created.headers["ETag"]

    first = api.patch(address, {"description": "First"}, HTTP_IF_MATCH=tag)
    second = api.patch(address, {"description": "Second"}, HTTP_IF_MATCH=tag)

    assert (first.status_code, second.status_code) == (200, 412)
    assert api.get(address).json()["description"] == "First"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_require_if_match_refuses_a_change_without_it(api, created, address, method, settings):
    settings.REQUIRE_IF_MATCH = True

    refused = getattr(api, method)(address, created.json())
    taken = getattr(api, method)(address, created.json(), HTTP_IF_MATCH=created.headers["ETag"])

    assert refused.status_code == 428
    assert refused.json()["code"] == "precondition_required"
    assert taken.status_code in {200, 204}


@pytest.mark.parametrize("tag", ["{tag}", "W/{tag}", "*", '"another", {tag}'])
def test_matching_if_none_match_gets_304(api, created, address, tag):
    header = tag.format(tag=created.headers["ETag"])

    response = api.get(address, HTTP_IF_NONE_MATCH=header)

    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["ETag"] == created.headers["ETag"]


def test_other_if_none_match_gets_the_definition(api, created, address):
    response = api.get(address, HTTP_IF_NONE_MATCH='"another"')

    assert response.status_code == 200


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("header", ["HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"])
@pytest.mark.parametrize("tag", ["", "{bare}", '"{bare}', "{tag} {tag}", "{tag}, *", "w/{tag}"])
def test_invalid_precondition_is_refused(api, address, method, header, tag):
    before = api.get(address)
    text = tag.format(tag=before.headers["ETag"], bare=before.headers["ETag"].strip('"'))

    response = getattr(api, method)(address, before.json(), **{header: text})

    assert response.status_code == 400
    assert response.json()["code"] == "bad_request"
    assert "If-" in response.json()["detail"]
    assert api.get(address).headers["ETag"] == before.headers["ETag"]


def test_invalid_precondition_of_a_read_is_refused(api, created, address):
    bare = created.headers["ETag"].strip('"')

    response = api.get(address, HTTP_IF_NONE_MATCH=bare)

    assert response.status_code == 400
    assert "with their quotes" in response.json()["detail"]


def test_schedule_counts_its_revisions(api):
    created = api.post(INTERVALS, {"every": 1, "period": "hours"})
    address = f"{INTERVALS}{created.json()['id']}/"

    changed = api.patch(address, {"every": 2})
    same = api.patch(address, {"every": 2})
    back = api.patch(address, {"every": 1})

    assert [answer.json()["revision"] for answer in (created, changed, same, back)] == [1, 2, 2, 3]
    assert back.headers["ETag"] != created.headers["ETag"]


def test_periodic_task_counts_its_revisions(api, created, address):
    changed = api.patch(address, {"description": "New"})
    same = api.patch(address, {"description": "New"})
    PeriodicTask.objects.filter(name="Beat").update(total_run_count=7)

    assert [answer.json()["revision"] for answer in (created, changed, same)] == [1, 2, 2]
    assert api.get(address).json()["revision"] == 2
