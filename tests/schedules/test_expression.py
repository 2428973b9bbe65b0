import pytest

from scheduler_api.schedules.crontab_fields import CrontabFields
from scheduler_api.schedules.expression import parse_expression
from scheduler_api.schedules.kinds import InvalidSchedule


@pytest.mark.parametrize(
    ("expression", "fields"),
    [
        ("1 2 3 4 5", CrontabFields("1", "2", "3", "4", "5")),
        ("  */5\t* \n * * mon-fri ", CrontabFields("*/5", "*", "*", "*", "mon-fri")),
        ("0, 30 8 ,20 * * mon, fri", CrontabFields("0,30", "8,20", "*", "*", "mon,fri")),
        ("@hourly", CrontabFields("0", "*", "*", "*", "*")),
        ("@daily", CrontabFields("0", "0", "*", "*", "*")),
        ("@midnight", CrontabFields("0", "0", "*", "*", "*")),
        ("@weekly", CrontabFields("0", "0", "*", "*", "0")),
        ("@monthly", CrontabFields("0", "0", "1", "*", "*")),
        ("@yearly", CrontabFields("0", "0", "1", "1", "*")),
        (" @Annually ", CrontabFields("0", "0", "1", "1", "*")),
    ],
)
def test_expression_has_five_fields_in_standard_order(expression, fields):
    assert parse_expression(expression) == fields


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("", "wrong_number_of_fields"),
        ("* * * *", "wrong_number_of_fields"),
        ("0 * * * * *", "wrong_number_of_fields"),
        ("@daily 5", "wrong_number_of_fields"),
        ("@reboot", "reboot"),
        ("@every", "unknown_macro"),
        ("* * ? * *", "wrong_number_of_fields"),
        ("30 4 * * * /usr/bin/backup", "wrong_number_of_fields"),
    ],
)
def test_invalid_expression_is_refused(expression, code):
    with pytest.raises(InvalidSchedule) as refusal:
        parse_expression(expression)

    assert (refusal.value.field, refusal.value.code) == ("expression", code)
