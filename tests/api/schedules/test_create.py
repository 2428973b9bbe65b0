"""POST of a schedule of each kind: stored values and refusals."""

import pytest
from django_celery_beat.models import SolarSchedule

from tests.api.http.responses import mistakes, refusal
from tests.api.schedules.bodies import (
    CLOCKEDS,
    CRONTABS,
    INTERVAL,
    INTERVALS,
    KINDS,
    SOLAR,
    SOLARS,
    no_schedules_are_stored,
)

LAST_32_BITS = 2**31 - 1

DESCRIPTIONS = {
    "interval": "Every 5 minutes",
    "crontab": (
        "At 07:30, on days 1 through 7 of January, April, July and October if that is Monday "
        "(Europe/Berlin)"
    ),
    "solar": "At sunset at latitude 52.52, longitude 13.405",
    "clocked": "Once, at 2099-01-01 00:00:00 UTC",
}


@pytest.mark.parametrize("kind", KINDS)
def test_create_schedule_stores_it_and_returns_its_location(api, kind):
    path, body, _ = KINDS[kind]

    response = api.post(path, body)

    assert response.status_code == 201
    created = response.json()
    assert created == {
        "id": created["id"],
        "type": kind,
        **body,
        "description": DESCRIPTIONS[kind],
        "used_by": [],
        "used_by_count": 0,
        "revision": 1,
    }
    assert response.headers["Location"] == f"http://testserver{path}{created['id']}/"
    assert api.get(response.headers["Location"]).json() == created


@pytest.mark.parametrize("kind", KINDS)
def test_create_schedule_with_another_type_is_refused(api, kind):
    path, body, _ = KINDS[kind]
    wrong = "clocked" if kind == "interval" else "interval"

    assert api.post(path, {**body, "type": kind}).status_code == 201
    response = api.post(path, {**body, "type": wrong})

    assert mistakes(response) == [("/type", "invalid_choice")]


@pytest.mark.parametrize(
    ("path", "required"),
    [
        (INTERVALS, ["/every", "/period"]),
        (SOLARS, ["/event", "/latitude", "/longitude"]),
        (CLOCKEDS, ["/clocked_time"]),
    ],
)
def test_create_schedule_without_a_required_field_is_refused(api, path, required):
    response = api.post(path, {})

    assert refusal(response) == (400, "validation_failed")
    assert sorted(mistakes(response)) == [(pointer, "required") for pointer in required]


def test_create_crontab_without_fields_is_every_minute_in_the_default_zone(api, settings):
    settings.CELERY_TIMEZONE = "Asia/Kathmandu"

    created = api.post(CRONTABS, {}).json()

    assert created["description"] == "Every minute (Asia/Kathmandu)"
    fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    assert {created[field] for field in fields} == {"*"}
    assert created["timezone"] == "Asia/Kathmandu"


@pytest.mark.parametrize("kind", KINDS)
def test_create_schedule_ignores_read_only_fields(api, kind):
    path, body, _ = KINDS[kind]
    sent = {**body, "id": 12345, "description": "x", "used_by": ["x"], "used_by_count": 7}

    created = api.post(path, sent).json()

    assert created["id"] != 12345
    assert created["description"] == DESCRIPTIONS[kind]
    assert (created["used_by"], created["used_by_count"]) == ([], 0)


@pytest.mark.parametrize(
    ("path", "body", "pointer", "hint"),
    [
        (INTERVALS, {**INTERVAL, "perod": "days"}, "/perod", "did you mean 'period'?"),
        (CRONTABS, {"day_of_weak": "1"}, "/day_of_weak", "did you mean 'day_of_week'?"),
        (SOLARS, {**SOLAR, "latitud": 5}, "/latitud", "did you mean 'latitude'?"),
        (CLOCKEDS, {"clocked": "2099-01-01T00:00:00Z"}, "/clocked", "'clocked_time'?"),
        (INTERVALS, {**INTERVAL, "a/b~c": 1}, "/a~1b~0c", "known: description, every"),
        (INTERVALS, {**INTERVAL, "": 1}, "/", "known: description, every"),
        (INTERVALS, {**INTERVAL, "expression": "x"}, "/expression", "There is no field"),
    ],
)
def test_create_schedule_with_an_unknown_field_is_refused_with_a_suggestion(
    api, path, body, pointer, hint
):
    response = api.post(path, body)

    assert refusal(response) == (400, "validation_failed")
    detail = {error["pointer"]: error["detail"] for error in response.json()["errors"]}
    assert hint in detail[pointer]
    assert (pointer, "unknown_field") in mistakes(response)
    assert no_schedules_are_stored()


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        *[("interval", "every", value) for value in ("5", "5.0", 5.5, True, None, [5], {}, "")],
        *[
            ("interval", "period", value)
            for value in (1, True, None, ["days"], "", "Days", "weeks")
        ],
        *[("crontab", "minute", value) for value in (5, 5.0, True, None, ["5"], {})],
        *[("crontab", "timezone", value) for value in (1, True, None, [], "")],
        *[("crontab", "expression", value) for value in (5, True, None, ["*"] * 5, "", "  ")],
        *[("solar", "event", value) for value in (1, None, ["sunset"], "", "Sunset", "moonrise")],
        *[("solar", "latitude", value) for value in ("52", True, None, [52], {})],
        *[("solar", "longitude", value) for value in ("13", False, None, [13], {})],
        *[("clocked", "clocked_time", value) for value in (4070908800, True, None, [], {}, "")],
    ],
)
def test_create_schedule_with_a_wrong_json_type_is_refused(api, kind, field, value):
    path, body, _ = KINDS[kind]
    others = {} if field == "expression" else body

    response = api.post(path, {**others, field: value})

    assert refusal(response) == (400, "validation_failed")
    assert [pointer for pointer, _ in mistakes(response)] == [f"/{field}"]
    assert no_schedules_are_stored()


# --- Intervals ------------------------------------------------------------------------------


def test_create_interval_accepts_a_whole_number_with_a_decimal_point(api):
    created = api.post(INTERVALS, {**INTERVAL, "every": 5.0}).json()

    assert repr(created["every"]) == "5"


@pytest.mark.parametrize(
    ("period", "shortest", "longest"),
    [
        ("days", 1, 3653),
        ("hours", 1, 3653 * 24),
        ("minutes", 1, 3653 * 24 * 60),
        ("seconds", 1, 3653 * 24 * 60 * 60),
        ("microseconds", 1_000_000, LAST_32_BITS),
    ],
)
def test_create_interval_accepts_one_second_to_ten_years(api, period, shortest, longest):
    for every in (shortest, longest):
        assert api.post(INTERVALS, {"every": every, "period": period}).status_code == 201
    for every in (shortest - 1, longest + 1):
        response = api.post(INTERVALS, {"every": every, "period": period})

        assert refusal(response) == (400, "validation_failed")
        assert [pointer for pointer, _ in mistakes(response)] == ["/every"]


@pytest.mark.parametrize("every", [0, -5, LAST_32_BITS, LAST_32_BITS + 1, 10**30, -(10**30)])
@pytest.mark.parametrize("period", ["days", "hours", "minutes"])
def test_create_interval_that_breaks_stock_beat_is_refused(api, every, period):
    response = api.post(INTERVALS, {"every": every, "period": period})

    assert refusal(response) == (400, "validation_failed")
    assert [pointer for pointer, _ in mistakes(response)] == ["/every"]
    assert no_schedules_are_stored()


# --- Solar ----------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["dawn_astronomical", "dawn_civil", "dawn_nautical", "sunrise",
                                   "solar_noon", "sunset", "dusk_civil", "dusk_nautical",
                                   "dusk_astronomical"])  # fmt: skip
def test_create_solar_accepts_every_event_of_celery(api, event):
    response = api.post(SOLARS, {**SOLAR, "event": event})

    assert response.status_code == 201
    SolarSchedule.objects.get().full_clean()


@pytest.mark.both_databases
def test_create_solar_rounds_degrees_to_six_decimals(api):
    sent = {"event": "sunset", "latitude": 12.34567891, "longitude": -0.0000004}

    created = api.post(SOLARS, sent).json()

    assert (created["latitude"], created["longitude"]) == (12.345679, 0)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("latitude", "longitude"), [(52.52, 13.405), (52.5200001, 13.405), (52.52, 13.4049999)]
)
def test_create_solar_equal_to_a_stored_one_is_refused_with_its_id(api, latitude, longitude):
    first = api.post(SOLARS, SOLAR).json()

    response = api.post(SOLARS, {"event": "sunset", "latitude": latitude, "longitude": longitude})

    assert refusal(response) == (409, "schedule_exists")
    assert str(first["id"]) in response.json()["detail"]
    assert SolarSchedule.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "degrees", "code"),
    [
        ("latitude", 90.000001, "max_value"),
        ("latitude", -90.000001, "min_value"),
        ("latitude", 10**30, "max_value"),
        ("latitude", 10**399, "overflow"),
        ("longitude", 180.000001, "max_value"),
        ("longitude", -180.000001, "min_value"),
        ("longitude", -1e308, "min_value"),
    ],
)
def test_create_solar_with_degrees_out_of_range_is_refused(api, field, degrees, code):
    response = api.post(SOLARS, {**SOLAR, field: degrees})

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [(f"/{field}", code)]
    assert no_schedules_are_stored()


def test_create_solar_at_a_pole_is_refused_for_events_that_never_occur(api):
    pole = {"latitude": 90, "longitude": -180}

    assert api.post(SOLARS, {"event": "solar_noon", **pole}).status_code == 201
    response = api.post(SOLARS, {"event": "dusk_astronomical", **pole})

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [("/event", "never_due")]


# --- Clocked --------------------------------------------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2099-01-01T00:00:00Z", "2099-01-01T00:00:00Z"),
        ("2099-01-01T01:30:00+02:00", "2098-12-31T23:30:00Z"),
        ("2099-01-01T00:00:00.123456Z", "2099-01-01T00:00:00.123456Z"),
        ("2099-01-01 00:00Z", "2099-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_create_clocked_stores_the_time_in_utc(api, sent, stored):
    assert api.post(CLOCKEDS, {"clocked_time": sent}).json()["clocked_time"] == stored


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        ("2020-01-01T00:00:00Z", "never_due"),
        ("2099-01-01T00:00:00", "invalid"),
        ("2099-01-01", "invalid"),
        ("2099-02-29T00:00:00Z", "invalid"),
        ("2099-01-01T25:00:00Z", "invalid"),
        ("99999-01-01T00:00:00Z", "invalid"),
        ("tomorrow", "invalid"),
        ("9999-12-31T23:59:59-12:00", "overflow"),
        ("0001-01-01T00:00:00+12:00", "overflow"),
    ],
)
def test_create_clocked_with_a_past_naive_or_malformed_time_is_refused(api, moment, code):
    response = api.post(CLOCKEDS, {"clocked_time": moment})

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [("/clocked_time", code)]
    assert no_schedules_are_stored()


def test_create_schedule_reports_all_mistakes_at_once(api):
    response = api.post(SOLARS, {"event": 1, "latitude": "x", "longitud": 5})

    assert sorted(mistakes(response)) == [
        ("/event", "invalid_choice"),
        ("/latitude", "invalid"),
        ("/longitud", "unknown_field"),
        ("/longitude", "required"),
    ]
    assert response.json()["detail"].endswith("(and 3 more)")
