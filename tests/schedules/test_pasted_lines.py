"""Lines of other programs: each refusal names a line that works, with the same meaning."""

import json
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scheduler_api.schedules.crontab_fields import CrontabFields, parse_fields
from scheduler_api.schedules.expression import parse_expression
from scheduler_api.schedules.kinds import InvalidSchedule
from tests.schedules.crontabs import all_fields


def refusal_of(expression: str) -> str:
    with pytest.raises(InvalidSchedule) as refusal:
        parse_expression(expression)
    return str(refusal.value).removeprefix(f"expression '{expression}' ")


def remedy_in(text: str) -> str:
    """Return the expression that a refusal says to use."""
    found = re.search("use '([^']+)'", text)
    assert found, text
    return found[1]


@pytest.mark.parametrize(
    ("line", "remedy", "says"),
    [
        # crontab files
        ("30 4 * * * /usr/bin/backup --all", "30 4 * * *", "has a command"),
        ("17 * * * * root cd / && run-parts /etc/cron.hourly", "17 * * * *", "has a command"),
        ("0 0 * * sun tar czf a.tgz a", "0 0 * * sun", "has a command"),
        ("0 5 * * * monit reload", "0 5 * * *", "has a command"),
        ("@daily /usr/bin/backup", "@daily", "is not a time alone"),
        ("`*/5 * * * * run`", "*/5 * * * *", "has a command"),
        ("CRON_TZ=Asia/Tokyo 0 9 * * *", "0 9 * * *", "with timezone 'Asia/Tokyo'"),
        ("TZ=UTC @daily", "@daily", "with timezone 'UTC'"),
        ("CRON_TZ=UTC 0 9 * * * /usr/bin/backup", "0 9 * * *", "with timezone 'UTC'"),
        ("*/5 * * * * # every five minutes", "*/5 * * * *", "has a comment"),
        ('"*/5 * * * *"', "*/5 * * * *", "has quotes"),
        ("'@daily'", "@daily", "is not a time alone"),
        ("0 9 * * mon - fri", "0 9 * * mon-fri", "has a blank beside '-'"),
        ("0 */ 2 * * *", "0 */2 * * *", "has a blank beside '-' or '/'"),
        ("0 9 * * 1-5 Europe/Berlin", "0 9 * * 1-5", "has a time zone"),
        ("12:05", "5 12 * * *", "is a time of a day"),
        ("at 7:30", "30 7 * * *", "is a time of a day"),
        # Quartz: seconds first, Sunday is 1
        ("0 0 12 * * ?", "0 12 * * *", "begins with seconds"),
        ("0 15 10 ? * 2-6", "15 10 * * mon-fri", "begins with seconds"),
        ("0 15 10 ? * MON-FRI", "15 10 * * MON-FRI", "begins with seconds"),
        ("0 0/15 8-17 1/1 * ? *", "0-59/15 8-17 1-31/1 * *", "begins with seconds"),
        ("0 0 12 ? * 1 2030", "0 12 * * sun", "begins with seconds"),
        ("30 0 12 * * ?", "0 12 * * *", "without them"),
        ("0 12 ? * 1", "0 12 * * 1", "has '?'"),
        # Spring, node-cron and Go: seconds first, Sunday is 0
        ("0 */5 * * * *", "*/5 * * * *", "begins with seconds"),
        ("00 30 9 * * 1-5", "30 9 * * 1-5", "begins with seconds"),
        # years
        ("0 12 * * ? *", "0 12 * * *", "has a year"),
        ("0 12 25 12 * 2030", "0 12 25 12 *", "has a year"),
        ("cron(0 10 ? * 2-6 *)", "0 10 * * mon-fri", "of AWS"),
        # words
        ("daily", "@daily", "is not a time alone"),
        ("every hourly", "@hourly", "is not a time alone"),
    ],
)
def test_refusal_of_a_line_of_another_program_names_the_line_that_works(line, remedy, says):
    text = refusal_of(line)

    assert remedy_in(text) == remedy
    assert says in text
    parse_fields(parse_expression(remedy))


@pytest.mark.parametrize(
    ("line", "every", "period"),
    [
        ("@every 5m", 5, "minutes"),
        ("@every 90 seconds", 90, "seconds"),
        ("every 2 hours", 2, "hours"),
        ("rate(5 minutes)", 5, "minutes"),
        ("* * * * * *", 1, "seconds"),
        ("*/10 * * * * *", 10, "seconds"),
        ("*/10 * * ? * *", 10, "seconds"),
    ],
)
def test_refusal_of_a_line_that_is_an_interval_names_the_interval(line, every, period):
    found = re.search("use the schedule ({.*})", refusal_of(line))

    assert found
    assert json.loads(found[1]) == {"type": "interval", "every": every, "period": period}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "has 0 fields"),
        ("'61 * * * *'", "has quotes; minute '61' is out of range"),
        ("5", "has 1 field: "),
        ("* *", "has 2 fields"),
        ("@every 0m", "has 2 fields"),
        ("61 * * * * /bin/true", "has a command, .*; minute '61' is out of range"),
        ("0 0 12 L * ?", "begins with seconds, .*; day_of_month 'L' uses L or W of Quartz"),
        ("0 0 12 ? * 6#3", "begins with seconds, .*; day_of_week 'fri#3' uses '#' of Quartz"),
        ("60 * ? * *", "has '\\?' of Quartz; minute '60' is out of range"),
        ("TZ=UTC 0 9", "has a time zone, .*; it has 2 fields"),
        ("TZ=UTC 0 24 * * *", "has a time zone, .*; hour '24' is out of range"),
    ],
)
def test_refusal_of_a_line_with_another_mistake_names_it(line, says):
    assert re.match(says, refusal_of(line))


@given(fields=all_fields, tail=st.sampled_from(["/bin/true", "root /bin/true", "curl -s x | sh"]))
def test_command_after_five_fields_is_refused_with_these_fields(fields, tail):
    line = " ".join(fields)
    assume(is_valid(fields))

    assert remedy_in(refusal_of(f"{line} {tail}")) == line


@given(fields=all_fields, second=st.sampled_from(["0", "00"]))
def test_fields_after_a_second_of_zero_are_refused_with_an_equal_line(fields, second):
    assume(is_valid(fields))

    remedy = remedy_in(refusal_of(f"{second} {' '.join(fields)}"))

    assert parse_fields(parse_expression(remedy)) == parse_fields(fields)


def is_valid(fields: CrontabFields) -> bool:
    try:
        parse_fields(fields)
    except InvalidSchedule:
        return False
    return True
