"""Conditional requests: a change is made to what was seen, or not at all."""

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


def test_an_answer_has_the_tag_of_what_it_tells(api, created, address):
    tag = created.headers["ETag"]

    assert tag[0] == tag[-1] == '"'
    assert api.get(address).headers["ETag"] == tag


def test_a_change_gives_another_tag(api, created, address):
    changed = api.patch(address, {"description": "New"})

    assert changed.headers["ETag"] != created.headers["ETag"]
    assert api.get(address).headers["ETag"] == changed.headers["ETag"]


def test_changing_back_does_not_bring_the_old_tag_back(api, created, address):
    api.patch(address, {"description": "New"})

    back = api.patch(address, {"description": ""})

    assert back.headers["ETag"] != created.headers["ETag"]


def test_a_change_by_another_writer_gives_another_tag(api, created, address):
    PeriodicTask.objects.filter(name="Beat").update(description="By the ORM")

    assert api.get(address).headers["ETag"] != created.headers["ETag"]


def test_a_change_of_its_schedule_gives_another_tag(api, created, address):
    schedule = created.json()["interval"]

    api.patch(f"{INTERVALS}{schedule}/", {"every": 2})

    assert api.get(address).headers["ETag"] != created.headers["ETag"]


def test_a_dispatch_leaves_the_tag(api, created, address):
    PeriodicTask.objects.filter(name="Beat").update(
        last_run_at="2027-01-01T00:00:00Z", total_run_count=7
    )

    assert api.get(address).headers["ETag"] == created.headers["ETag"]


def test_a_change_that_changes_nothing_leaves_the_tag(api, created, address):
    same = api.put(address, created.json())

    assert same.headers["ETag"] == created.headers["ETag"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("tag", ['"another"', "W/{tag}", '"a", "b"', '"*"', '"a,*,b"'])
def test_a_change_of_what_was_not_seen_is_refused(api, created, address, method, tag):
    header = tag.format(tag=created.headers["ETag"])

    response = getattr(api, method)(address, created.json(), HTTP_IF_MATCH=header)

    assert response.status_code == 412
    assert response.json()["code"] == "revision_mismatch"
    assert api.get(address).headers["ETag"] == created.headers["ETag"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("tag", ["{tag}", "*", '"another", {tag}'])
def test_a_change_of_what_was_seen_is_made(api, created, address, method, tag):
    header = tag.format(tag=created.headers["ETag"])

    response = getattr(api, method)(address, created.json(), HTTP_IF_MATCH=header)

    assert response.status_code == (204 if method == "delete" else 200)


def test_of_two_who_have_read_the_same_the_second_is_refused(api, created, address):
    tag = created.headers["ETag"]

    first = api.patch(address, {"description": "First"}, HTTP_IF_MATCH=tag)
    second = api.patch(address, {"description": "Second"}, HTTP_IF_MATCH=tag)

    assert (first.status_code, second.status_code) == (200, 412)
    assert api.get(address).json()["description"] == "First"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_setting_makes_a_change_say_what_was_seen(api, created, address, method, settings):
    settings.REQUIRE_IF_MATCH = True

    refused = getattr(api, method)(address, created.json())
    taken = getattr(api, method)(address, created.json(), HTTP_IF_MATCH=created.headers["ETag"])

    assert refused.status_code == 428
    assert refused.json()["code"] == "precondition_required"
    assert taken.status_code in {200, 204}


@pytest.mark.parametrize("tag", ["{tag}", "W/{tag}", "*", '"another", {tag}'])
def test_who_has_it_already_is_told_so(api, created, address, tag):
    header = tag.format(tag=created.headers["ETag"])

    response = api.get(address, HTTP_IF_NONE_MATCH=header)

    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["ETag"] == created.headers["ETag"]


def test_who_has_another_state_is_answered(api, created, address):
    response = api.get(address, HTTP_IF_NONE_MATCH='"another"')

    assert response.status_code == 200


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("header", ["HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"])
@pytest.mark.parametrize("tag", ["", "{bare}", '"{bare}', "{tag} {tag}", "{tag}, *", "w/{tag}"])
def test_a_precondition_that_is_none_is_refused(api, address, method, header, tag):
    before = api.get(address)
    text = tag.format(tag=before.headers["ETag"], bare=before.headers["ETag"].strip('"'))

    response = getattr(api, method)(address, before.json(), **{header: text})

    assert response.status_code == 400
    assert response.json()["code"] == "bad_request"
    assert "If-" in response.json()["detail"]
    assert api.get(address).headers["ETag"] == before.headers["ETag"]


def test_a_reader_is_told_of_a_precondition_that_is_none(api, created, address):
    bare = created.headers["ETag"].strip('"')

    response = api.get(address, HTTP_IF_NONE_MATCH=bare)

    assert response.status_code == 400
    assert "with their quotes" in response.json()["detail"]


def test_a_schedule_counts_its_revisions(api):
    created = api.post(INTERVALS, {"every": 1, "period": "hours"})
    address = f"{INTERVALS}{created.json()['id']}/"

    changed = api.patch(address, {"every": 2})
    same = api.patch(address, {"every": 2})
    back = api.patch(address, {"every": 1})

    assert [answer.json()["revision"] for answer in (created, changed, same, back)] == [1, 2, 2, 3]
    assert back.headers["ETag"] != created.headers["ETag"]


def test_a_periodic_task_counts_its_revisions(api, created, address):
    changed = api.patch(address, {"description": "New"})
    same = api.patch(address, {"description": "New"})
    PeriodicTask.objects.filter(name="Beat").update(total_run_count=7)

    assert [answer.json()["revision"] for answer in (created, changed, same)] == [1, 2, 2]
    assert api.get(address).json()["revision"] == 2
