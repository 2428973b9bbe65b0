"""PUT and PATCH of a schedule: replaced fields, changed fields and refusals."""

import pytest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    SolarSchedule,
)

from tests.api.http.responses import mistakes, refusal
from tests.api.schedules.bodies import (
    CLOCKEDS,
    CRONTAB,
    CRONTABS,
    INTERVALS,
    KINDS,
    SOLAR,
    SOLARS,
    create_tasks_with,
)

CHANGES = [(kind, field) for kind, (_, body, _) in KINDS.items() for field in body]


@pytest.mark.parametrize("kind", KINDS)
def test_put_replaces_the_whole_schedule(api, kind):
    path, body, other = KINDS[kind]
    created = api.post(path, body).json()

    response = api.put(f"{path}{created['id']}/", other)

    assert response.status_code == 200
    moved = {"description": response.json()["description"], "revision": 2}
    assert response.json() == created | other | moved
    assert response.json()["description"] != created["description"]
    assert api.get(f"{path}{created['id']}/").json() == response.json()


def test_put_sets_omitted_fields_to_their_defaults(api):
    created = api.post(CRONTABS, CRONTAB).json()

    replaced = api.put(f"{CRONTABS}{created['id']}/", {"hour": "5"}).json()

    everything = dict.fromkeys(["minute", "day_of_month", "month_of_year", "day_of_week"], "*")
    assert replaced == created | everything | {
        "hour": "5",
        "timezone": "UTC",
        "description": replaced["description"],
        "revision": 2,
    }


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, field in CHANGES if kind != "crontab"]
)
def test_put_without_a_required_field_is_refused(api, kind, field):
    path, body, other = KINDS[kind]
    created = api.post(path, body).json()

    response = api.put(
        f"{path}{created['id']}/", {name: other[name] for name in other if name != field}
    )

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [(f"/{field}", "required")]
    assert api.get(f"{path}{created['id']}/").json() == created


@pytest.mark.parametrize(("kind", "field"), CHANGES)
def test_patch_changes_only_the_sent_fields(api, kind, field):
    path, body, other = KINDS[kind]
    created = api.post(path, body).json()

    response = api.patch(f"{path}{created['id']}/", {field: other[field]})

    assert response.status_code == 200
    moved = {"description": response.json()["description"], "revision": 2}
    assert response.json() == created | {field: other[field]} | moved
    assert api.get(f"{path}{created['id']}/").json() == response.json()


@pytest.mark.parametrize("kind", KINDS)
def test_patch_with_an_empty_body_changes_nothing(api, kind):
    path, body, _ = KINDS[kind]
    created = api.post(path, body).json()

    response = api.patch(f"{path}{created['id']}/", {})

    assert response.status_code == 200
    assert response.json() == created


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("kind", KINDS)
def test_update_with_the_representation_that_was_read_is_accepted(api, kind, method):
    path, body, _ = KINDS[kind]
    created = api.post(path, body).json()
    create_tasks_with(kind, created["id"], ["a"])
    read = api.get(f"{path}{created['id']}/").json()

    response = getattr(api, method)(f"{path}{created['id']}/", read)

    assert response.status_code == 200
    assert response.json() == read


@pytest.mark.parametrize("method", ["put", "patch"])
def test_update_of_a_past_clocked_time_is_refused_unless_unchanged(api, method):
    row = ClockedSchedule.objects.create(clocked_time="2020-01-01T00:00:00Z")
    read = api.get(f"{CLOCKEDS}{row.pk}/").json()

    assert getattr(api, method)(f"{CLOCKEDS}{row.pk}/", read).json() == read
    response = getattr(api, method)(
        f"{CLOCKEDS}{row.pk}/", {"clocked_time": "2020-01-02T00:00:00Z"}
    )

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [("/clocked_time", "never_due")]


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize(
    ("kind", "sent", "pointer"),
    [
        ("interval", {"every": "5"}, "/every"),
        ("interval", {"every": 0}, "/every"),
        ("interval", {"every": 10**30}, "/every"),
        ("interval", {"period": None}, "/period"),
        ("interval", {"perod": "days"}, "/perod"),
        ("crontab", {"minute": "60"}, "/minute"),
        ("crontab", {"day_of_month": "31", "month_of_year": "2"}, "/day_of_month"),
        ("crontab", {"timezone": "Mars/Base"}, "/timezone"),
        ("crontab", {"type": "interval"}, "/type"),
        ("solar", {"event": "moonrise"}, "/event"),
        ("solar", {"latitude": 91}, "/latitude"),
        ("clocked", {"clocked_time": "2020-01-01T00:00:00Z"}, "/clocked_time"),
        ("clocked", {"clocked_time": "2099-01-01T00:00:00"}, "/clocked_time"),
    ],
)
def test_update_with_an_invalid_value_is_refused(api, method, kind, sent, pointer):
    path, body, _ = KINDS[kind]
    created = api.post(path, body).json()

    response = getattr(api, method)(f"{path}{created['id']}/", {**body, **sent})

    assert refusal(response) == (400, "validation_failed")
    assert pointer in [pointer for pointer, _ in mistakes(response)]
    assert api.get(f"{path}{created['id']}/").json() == created


def test_patch_is_validated_together_with_the_stored_fields(api):
    fine = api.post(CRONTABS, {"day_of_month": "31"}).json()
    long = api.post(INTERVALS, {"every": 100_000, "period": "seconds"}).json()

    never = api.patch(f"{CRONTABS}{fine['id']}/", {"month_of_year": "2"})
    too_long = api.patch(f"{INTERVALS}{long['id']}/", {"period": "days"})

    assert mistakes(never) == [("/day_of_month", "never_fires")]
    assert mistakes(too_long) == [("/every", "interval_out_of_range")]
    assert api.get(f"{CRONTABS}{fine['id']}/").json() == fine
    assert api.get(f"{INTERVALS}{long['id']}/").json() == long


@pytest.mark.parametrize("method", ["put", "patch"])
def test_update_with_an_expression_replaces_all_five_fields(api, method):
    created = api.post(CRONTABS, {**CRONTAB, "timezone": "UTC"}).json()

    changed = getattr(api, method)(
        f"{CRONTABS}{created['id']}/", {"expression": "0 22-2 * * 7"}
    ).json()

    row = CrontabSchedule.objects.get()
    row.full_clean()
    fields = (row.minute, row.hour, row.day_of_month, row.month_of_year, row.day_of_week)
    assert fields == ("0", "0-2,22,23", "*", "*", "0")
    assert changed["hour"] == "0-2,22,23"


def test_patch_with_an_expression_keeps_the_zone(api):
    created = api.post(CRONTABS, CRONTAB).json()

    changed = api.patch(f"{CRONTABS}{created['id']}/", {"expression": "@daily"}).json()

    assert changed["timezone"] == CRONTAB["timezone"]


@pytest.mark.parametrize("method", ["put", "patch"])
def test_update_with_expression_and_field_is_refused(api, method):
    created = api.post(CRONTABS, CRONTAB).json()

    response = getattr(api, method)(
        f"{CRONTABS}{created['id']}/", {"expression": "@daily", "minute": "0"}
    )

    assert mistakes(response) == [("/expression", "ambiguous")]


@pytest.mark.both_databases
@pytest.mark.parametrize("method", ["put", "patch"])
def test_update_of_a_solar_schedule_to_equal_another_is_refused(api, method):
    first = api.post(SOLARS, SOLAR).json()
    second = api.post(SOLARS, {**SOLAR, "latitude": 53}).json()

    response = getattr(api, method)(f"{SOLARS}{second['id']}/", SOLAR)

    assert refusal(response) == (409, "schedule_exists")
    assert str(first["id"]) in response.json()["detail"]
    assert api.get(f"{SOLARS}{second['id']}/").json() == second


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("kind", KINDS)
def test_update_of_a_shared_schedule_names_its_tasks(api, kind, method):
    path, body, other = KINDS[kind]
    created = api.post(path, body).json()
    create_tasks_with(kind, created["id"], ["b", "a", "c"])

    response = getattr(api, method)(f"{path}{created['id']}/", other)

    assert response.status_code == 200
    assert response.json()["used_by"] == ["a", "b", "c"]
    assert response.json()["used_by_count"] == 3


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("kind", KINDS)
def test_update_of_an_unknown_schedule_is_not_found(api, kind, method):
    path, body, _ = KINDS[kind]

    assert refusal(getattr(api, method)(f"{path}999/", body)) == (404, "not_found")


@pytest.mark.parametrize(
    ("model", "invalid", "path", "correction"),
    [
        (IntervalSchedule, {"every": 5, "period": "fortnights"}, INTERVALS, {"period": "days"}),
        (IntervalSchedule, {"every": -5, "period": "days"}, INTERVALS, {"every": 5}),
        (CrontabSchedule, {"minute": ""}, CRONTABS, {"minute": "0"}),
        (
            SolarSchedule,
            {"event": "moonrise", "latitude": 0, "longitude": 0},
            SOLARS,
            {"event": "sunset"},
        ),
    ],
)
def test_patch_corrects_an_invalid_row(api, model, invalid, path, correction):
    row = model.objects.create(**invalid)

    response = api.patch(f"{path}{row.pk}/", correction)

    assert response.status_code == 200
    assert not response.json()["description"].startswith("Never")
