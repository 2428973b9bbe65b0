import calendar
import re

import celery.schedules
import pytest
from django_celery_beat import validators
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler_api.schedules.crontab_fields import (
    CrontabFields,
    field_patterns,
    normalize_fields,
    parse_fields,
)
from scheduler_api.schedules.kinds import InvalidSchedule
from tests.schedules.crontabs import MONTHS, WEEKDAYS, all_fields, field_texts

COLUMNS = CrontabFields(240, 96, 124, 64, 64)
VALIDATORS = CrontabFields(
    validators.minute_validator,
    validators.hour_validator,
    validators.day_of_month_validator,
    validators.month_of_year_validator,
    validators.day_of_week_validator,
)


def celery_values(fields: CrontabFields) -> tuple[tuple[int, ...], ...]:
    crontab = celery.schedules.crontab(**fields._asdict())
    return tuple(
        tuple(sorted(values))
        for values in (
            crontab.minute,
            crontab.hour,
            crontab.day_of_month,
            crontab.month_of_year,
            crontab.day_of_week,
        )
    )


def parsed_values(fields: CrontabFields) -> tuple[tuple[int, ...], ...]:
    values = parse_fields(fields)
    return values.minutes, values.hours, values.days_of_month, values.months, values.weekdays


def refusal_code(fields: CrontabFields) -> str | None:
    try:
        parse_fields(fields)
    except InvalidSchedule as refusal:
        return refusal.code
    return None


def is_possible(fields: CrontabFields) -> bool:
    return refusal_code(fields) != "never_fires"


@given(all_fields)
@settings(max_examples=500)
def test_parsed_fields_equal_the_values_of_celery(fields):
    assume(is_possible(fields))

    assert parsed_values(fields) == celery_values(fields)


@given(all_fields)
@settings(max_examples=500)
def test_valid_fields_match_their_patterns(fields):
    for pattern, text in zip(field_patterns(), fields, strict=True):
        assert re.search(pattern, text)


@pytest.mark.parametrize("field", CrontabFields._fields)
@given(data=st.data())
@settings(max_examples=50)
def test_texts_that_match_a_pattern_are_refused_for_few_reasons(field, data):
    text = data.draw(st.from_regex(getattr(field_patterns(), field), fullmatch=True))

    has_names = re.search("[A-Za-z]", text) is not None
    refusals = {None, "too_long", "step_out_of_range", *({"malformed"} if has_names else ())}
    assert refusal_code(CrontabFields(**{field: text})) in refusals


@pytest.mark.parametrize(
    ("day_of_week", "weekdays"),
    [
        ("7", (0,)),
        ("07", (0,)),
        ("0,7", (0,)),
        ("5-7", (0, 5, 6)),
        ("fri-7", (0, 5, 6)),
        ("1-7", (0, 1, 2, 3, 4, 5, 6)),
        ("0-7", (0, 1, 2, 3, 4, 5, 6)),
        ("1-7/3", (0, 1, 4)),
        ("0-7/2", (0, 2, 4, 6)),
        ("7-2", (0, 1, 2)),
        ("7-7", (0,)),
    ],
)
def test_day_of_week_7_is_sunday(day_of_week, weekdays):
    assert parse_fields(CrontabFields(day_of_week=day_of_week)).weekdays == weekdays


@pytest.mark.parametrize(
    ("hour", "follows_elapsed_time"),
    [
        ("*", True),
        ("*/1", True),
        ("*/6", True),
        (" */6 ", True),
        ("*/23", True),
        # all 24 hours, in any spelling
        ("0-23", True),
        ("0-23/1", True),
        ("*,3", True),
        ("22-21", True),
        ("*/2,1-23/2", True),
        (",".join(map(str, range(24))), True),
        # one hour: a time of the day
        ("*/24", False),
        ("*/100", False),
        ("2", False),
        # some hours that a person has listed
        ("0-22", False),
        ("1-23", False),
        ("0-23/2", False),
        ("0,12", False),
        ("*/2,3", False),
    ],
)
def test_hour_field_of_a_whole_day_or_every_nth_hour_follows_elapsed_time(
    hour, follows_elapsed_time
):
    values = parse_fields(CrontabFields(hour=hour))

    assert values.follows_elapsed_time is follows_elapsed_time


@pytest.mark.parametrize(
    ("field", "text", "values"),
    [
        # found in public projects: Celery takes them
        ("minute", "*/60", (0,)),
        ("minute", "*/90", (0,)),
        ("minute", "10-20/100", (10,)),
        ("hour", "*/24", (0,)),
        ("day_of_month", "*/32", (1,)),
        ("month_of_year", "*/12", (1,)),
        ("day_of_week", "*/7", (0,)),
        ("minute", "0, 30", (0, 30)),
        ("minute", " 0 ,30 ", (0, 30)),
    ],
)
def test_field_with_blanks_or_a_long_step_has_the_values_of_celery(field, text, values):
    fields = CrontabFields(**{field: text})

    assert getattr(celery.schedules.crontab(**{field: text}), field) == set(values)
    assert parsed_values(fields) == celery_values(fields)


def test_blanks_around_a_comma_are_no_part_of_a_range_or_name():
    fields = CrontabFields(minute=" 0-10/5 , */30 ", day_of_week="mon , wed-fri")

    assert parse_fields(fields) == parse_fields(
        CrontabFields(minute="0-10/5,*/30", day_of_week="mon,wed-fri")
    )


REFUSALS = [
    ("minute", "", "empty"),
    ("minute", "60", "out_of_range"),
    ("minute", "0-60", "out_of_range"),
    ("minute", "9" * 240, "out_of_range"),
    ("minute", "9" * 241, "too_long"),
    ("minute", "-1", "malformed"),
    ("minute", "+1", "malformed"),
    ("minute", "*/", "malformed"),
    ("minute", "1-5/", "malformed"),
    ("minute", "5/15", "malformed"),
    ("minute", "1,,2", "malformed"),
    ("minute", "1,", "malformed"),
    ("minute", " ", "empty"),
    ("minute", "1 2", "malformed"),
    ("minute", "1 - 5", "malformed"),
    ("minute", "*/ 5", "malformed"),
    ("minute", "*5", "malformed"),
    ("minute", "**", "malformed"),
    ("minute", "*-5", "malformed"),
    ("minute", "1-5-7", "malformed"),
    ("minute", "1-5/2x", "malformed"),
    ("minute", "*/5/2", "malformed"),
    ("minute", "*/x", "malformed"),
    ("minute", "1_0", "malformed"),
    ("minute", "٣", "malformed"),
    ("minute", "*/٣", "malformed"),
    ("minute", "²", "malformed"),
    ("minute", "jan", "malformed"),
    ("minute", "?", "malformed"),
    ("minute", "*/0", "step_out_of_range"),
    ("minute", "*/00", "step_out_of_range"),
    ("hour", "24", "out_of_range"),
    ("day_of_month", "0", "out_of_range"),
    ("day_of_month", "32", "out_of_range"),
    ("day_of_month", "L", "malformed"),
    ("month_of_year", "0", "out_of_range"),
    ("month_of_year", "13", "out_of_range"),
    ("month_of_year", "mon", "malformed"),
    ("month_of_year", "ja", "malformed"),
    ("month_of_year", "janitor", "malformed"),
    ("day_of_week", "8", "out_of_range"),
    ("day_of_week", "jan", "malformed"),
    ("day_of_week", "sunflower", "malformed"),
    ("day_of_week", "mon#1", "malformed"),
]


@pytest.mark.parametrize(("field", "text", "code"), REFUSALS)
def test_invalid_field_is_refused_with_its_name_and_code(field, text, code):
    with pytest.raises(InvalidSchedule, match=field) as refusal:
        parse_fields(CrontabFields(**{field: text}))

    assert (refusal.value.field, refusal.value.code) == (field, code)


def test_refusal_of_a_field_explains_the_correction():
    with pytest.raises(InvalidSchedule) as refusal:
        parse_fields(CrontabFields(minute="61"))

    assert str(refusal.value) == "minute '61' is out of range: use 0 to 59"


@pytest.mark.parametrize(
    ("field", "text", "remedy"),
    [
        ("minute", "1 - 5", "1-5"),
        ("minute", "*/ 5", "*/5"),
        ("minute", "0 30", "0,30"),
        ("minute", "5/15", "5-59/15"),
        ("minute", "?", "*"),
        ("hour", "[8, 20]", "8, 20"),
        ("hour", "{8}", "8"),
        ("hour", "(8, 20)", "8, 20"),
        ("hour", "(8,)", "8"),
        ("day_of_week", "?", "*"),
        ("day_of_week", "mon - fri", "mon-fri"),
        ("day_of_week", "fri#2", "fri"),
    ],
)
def test_refusal_of_another_programs_syntax_names_a_text_that_is_accepted(field, text, remedy):
    with pytest.raises(InvalidSchedule) as refusal:
        parse_fields(CrontabFields(**{field: text}))

    assert f"use '{remedy}'" in str(refusal.value)
    assert refusal_code(CrontabFields(**{field: remedy})) is None


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("day_of_week", "fri#2", "day_of_month '8-14'"),
        ("day_of_week", "mon#5", "day_of_month '29-31'"),
        ("day_of_month", "L", "L or W of Quartz"),
        ("day_of_month", "15W", "L or W of Quartz"),
        ("day_of_month", "LW", "L or W of Quartz"),
        ("day_of_week", "5L", "L or W of Quartz"),
        ("minute", "H/15", "H of Jenkins"),
        ("minute", "H(0-29)/10", "H of Jenkins"),
        ("minute", "*/0", "a step of zero"),
        ("minute", "1,,2", "minute has no value beside a comma"),
        ("hour", "8,", "hour has no value beside a comma"),
    ],
)
def test_refusal_of_a_field_names_the_mistake(field, text, says):
    with pytest.raises(InvalidSchedule) as refusal:
        parse_fields(CrontabFields(**{field: text}))

    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("day_of_month", "month_of_year", "possible"),
    [
        ("29", "2", True),
        ("30", "2", False),
        ("31", "feb,apr,jun,sep,nov", False),
        ("31", "feb,mar", True),
        ("30,31", "2-4", True),
    ],
)
def test_fields_with_a_day_that_never_exists_are_refused(day_of_month, month_of_year, possible):
    fields = CrontabFields(day_of_month=day_of_month, month_of_year=month_of_year)

    assert is_possible(fields) is possible


@pytest.mark.parametrize(
    ("field", "text", "spelling"),
    [
        ("minute", "*/5", "*/5"),
        ("minute", "5,5,05", "5,5,05"),
        ("minute", "0, 30", "0,30"),
        ("minute", " */5 ", "*/5"),
        ("minute", "*/60", "0"),
        ("hour", "*/24", "0"),
        ("hour", "0-23", "0-23"),
        ("day_of_week", "*/7", "0"),
        ("minute", "50-10/10", "0,10,50"),
        ("hour", "22-2", "0-2,22,23"),
        ("hour", "22-21", "0-23"),
        ("hour", "*,22-2", "0-23"),
        ("day_of_month", "30-2", "1,2,30,31"),
        ("month_of_year", "jan-mar", "jan-mar"),
        ("month_of_year", "june", "6"),
        ("month_of_year", ",".join(calendar.month_name[1:]).lower(), "1-12"),
        ("day_of_week", "MON-fri", "MON-fri"),
        ("day_of_week", "monday", "1"),
        ("day_of_week", "mon-5", "1-5"),
        ("day_of_week", "1-fri", "1-fri"),
        ("day_of_week", "fri-mon", "0,1,5,6"),
        ("day_of_week", "7", "0"),
        ("day_of_week", "1-7", "0-6"),
        ("day_of_week", "007", "0"),
    ],
)
def test_normalize_changes_only_fields_that_stock_beat_refuses(field, text, spelling):
    fields = CrontabFields(**{field: text})

    assert normalize_fields(fields) == fields._replace(**{field: spelling})


@given(
    st.builds(
        CrontabFields,
        minute=field_texts(0, 59),
        hour=field_texts(0, 23),
        day_of_month=field_texts(1, 31),
        month_of_year=field_texts(1, 12, *MONTHS),
        day_of_week=field_texts(0, 7, *WEEKDAYS),
    )
)
@settings(max_examples=500)
def test_normalized_fields_have_the_same_values_for_every_reader(fields):
    assume(is_possible(fields))

    spelling = normalize_fields(fields)

    assert parse_fields(spelling) == parse_fields(fields)
    assert celery_values(spelling) == parsed_values(fields)
    for validate, text, column in zip(VALIDATORS, spelling, COLUMNS, strict=True):
        validate(text)
        assert len(text) <= column
    assert normalize_fields(spelling) == spelling


@pytest.mark.parametrize(
    "fields",
    [
        CrontabFields(minute="58-56/2"),
        CrontabFields(hour="22-20/2"),
        CrontabFields(day_of_month="31-29/2"),
        CrontabFields(month_of_year="december-october/2"),
        CrontabFields(minute=",".join(f"{n}-{n - 1}" for n in range(1, 60, 2))),
    ],
)
def test_longest_normalized_field_fits_its_column(fields):
    spelling = normalize_fields(fields)

    assert all(len(text) <= column for text, column in zip(spelling, COLUMNS, strict=True))
