"""POST of a crontab: expressions, fields, normalized spellings and time zones."""

import pytest
from django_celery_beat.models import CrontabSchedule

from tests.api.http.responses import mistakes, refusal
from tests.api.schedules.bodies import (
    CRONTABS,
    no_schedules_are_stored,
)


@pytest.mark.parametrize(
    ("expression", "fields"),
    [
        ("*/5 9-17 * * mon-fri", ("*/5", "9-17", "*", "*", "mon-fri")),
        ("  0\t0  1 jan * ", ("0", "0", "1", "jan", "*")),
        ("@daily", ("0", "0", "*", "*", "*")),
        ("@Hourly", ("0", "*", "*", "*", "*")),
        ("@weekly", ("0", "0", "*", "*", "0")),
        ("@yearly", ("0", "0", "1", "1", "*")),
    ],
)
def test_create_crontab_from_an_expression(api, expression, fields):
    created = api.post(CRONTABS, {"expression": expression, "timezone": "Europe/Berlin"}).json()

    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    assert tuple(created[name] for name in names) == fields
    assert created["timezone"] == "Europe/Berlin"
    assert "expression" not in created


@pytest.mark.parametrize(
    "field", ["minute", "hour", "day_of_month", "month_of_year", "day_of_week"]
)
def test_create_crontab_with_expression_and_field_is_refused(api, field):
    response = api.post(CRONTABS, {"expression": "* * * * *", field: "*"})

    assert mistakes(response) == [("/expression", "ambiguous")]
    assert no_schedules_are_stored()


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("*/5 * * *", "wrong_number_of_fields"),
        ("0 */5 * * * *", "wrong_number_of_fields"),
        ("@reboot", "reboot"),
        ("@fortnightly", "unknown_macro"),
        ("60 * * * *", "out_of_range"),
        ("* 24 * * *", "out_of_range"),
        ("x * * * *", "malformed"),
        ("0 0 31 2 *", "never_fires"),
    ],
)
def test_create_crontab_with_an_invalid_expression_is_refused(api, expression, code):
    response = api.post(CRONTABS, {"expression": expression})

    assert refusal(response) == (400, "validation_failed")
    assert mistakes(response) == [("/expression", code)]
    assert no_schedules_are_stored()


@pytest.mark.parametrize(
    ("field", "sent", "stored", "values"),
    [
        ("minute", "*/15", "*/15", {0, 15, 30, 45}),
        ("minute", "0,30", "0,30", {0, 30}),
        ("minute", "50-10/5", "0,5,10,50,55", {0, 5, 10, 50, 55}),
        ("hour", "22-2", "0-2,22,23", {22, 23, 0, 1, 2}),
        ("hour", "9-17/4", "9-17/4", {9, 13, 17}),
        ("month_of_year", "jan", "jan", {1}),
        ("month_of_year", "January", "1", {1}),
        ("month_of_year", "nov-feb", "1,2,11,12", {11, 12, 1, 2}),
        ("day_of_month", "25-5", "1-5,25-31", {*range(1, 6), *range(25, 32)}),
        ("day_of_week", "7", "0", {0}),
        ("day_of_week", "0-7", "0-6", set(range(7))),
        ("day_of_week", "5-7", "0,5,6", {5, 6, 0}),
        ("day_of_week", "1,7", "0,1", {0, 1}),
        ("day_of_week", "mon-fri", "mon-fri", {1, 2, 3, 4, 5}),
        ("day_of_week", "SUN", "SUN", {0}),
        ("day_of_week", "monday", "1", {1}),
        ("day_of_week", "fri-mon", "0,1,5,6", {5, 6, 0, 1}),
        ("day_of_week", "mon-5", "1-5", {1, 2, 3, 4, 5}),
    ],
)
def test_create_crontab_stores_a_spelling_that_stock_beat_reads(api, field, sent, stored, values):
    created = api.post(CRONTABS, {field: sent}).json()

    assert created[field] == stored
    row = CrontabSchedule.objects.get()
    row.full_clean()
    assert getattr(row.schedule, field) == values


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *[
            ("minute", text)
            for text in (
                "",
                "*/",
                "-1",
                "60",
                "*/0",
                "a",
                "1_0",
                "\N{ARABIC-INDIC DIGIT FIVE}",
                "1-5-7",
            )
        ],
        *[
            ("minute", text)
            for text in ("5/10", "1;2", "1,", ",1", "1 2", "0.5", "+5", "0x1", "?")
        ],
        *[("hour", text) for text in ("", "24", "*/x", "9-25", "L", "9 17", "**")],
        *[("day_of_month", text) for text in ("", "0", "32", "L", "15W", "1-")],
        *[("month_of_year", text) for text in ("", "0", "13", "foo", "ja", "mon", "januaryy")],
        *[("day_of_week", text) for text in ("", "8", "xyz", "mo", "jan", "1#2", "-", "/2")],
        ("minute", ",".join(["0"] * 200)),
        ("hour", "9" * 5000),
    ],
)
def test_create_crontab_with_an_invalid_field_is_refused_at_the_field(api, field, text):
    response = api.post(CRONTABS, {field: text})

    assert refusal(response) == (400, "validation_failed")
    assert [pointer for pointer, _ in mistakes(response)] == [f"/{field}"]
    assert no_schedules_are_stored()


@pytest.mark.parametrize(
    ("field", "length"),
    [("minute", 240), ("hour", 96), ("day_of_month", 124), ("day_of_week", 64),
     ("month_of_year", 64), ("expression", 1000)],
)  # fmt: skip
def test_blanks_at_the_ends_count_for_the_maximum_length(api, field, length):
    text = "@daily" if field == "expression" else "*"

    accepted = api.post(CRONTABS, {field: text.ljust(length)})
    refused = api.post(CRONTABS, {field: text.ljust(length + 1)})

    assert accepted.status_code == 201
    assert mistakes(refused) == [(f"/{field}", "max_length")]


@pytest.mark.parametrize(
    ("day", "month"), [("31", "2"), ("30", "feb"), ("31", "4,6,9,11"), ("30,31", "2")]
)
def test_create_crontab_with_a_day_that_never_exists_is_refused(api, day, month):
    response = api.post(CRONTABS, {"day_of_month": day, "month_of_year": month})

    assert mistakes(response) == [("/day_of_month", "never_fires")]
    assert no_schedules_are_stored()


@pytest.mark.parametrize(("day", "month"), [("29", "2"), ("31", "2,3"), ("28-31", "feb")])
def test_create_crontab_with_a_rare_day_is_accepted(api, day, month):
    response = api.post(CRONTABS, {"day_of_month": day, "month_of_year": month})

    assert response.status_code == 201


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("America/NewYork", "did you mean 'America/New_York'?"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("../../etc/passwd", "There is no time zone"),
        ("/etc/localtime", "There is no time zone"),
        ("UTC+1", "for UTC+01:00 all year use 'Etc/GMT-1', whose sign is reversed"),
        ("GMT+7:00", "'Etc/GMT-7', whose sign is reversed, or a place such as 'Asia/Bangkok'"),
        ("IST", "'Asia/Jerusalem' (UTC+02:00) or 'Asia/Kolkata' (UTC+05:30)"),
        ("utc", "did you mean 'UTC'?"),
        ("localtime", "There is no time zone"),
    ],
)
def test_create_crontab_with_an_unknown_time_zone_is_refused_with_a_suggestion(api, zone, hint):
    response = api.post(CRONTABS, {"timezone": zone})

    assert mistakes(response) == [("/timezone", "unknown_zone")]
    assert hint in response.json()["errors"][0]["detail"]
    assert no_schedules_are_stored()
