"""Advice on unknown time zones: each zone that it names is accepted, and right to the hour."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scheduler_api.schedules.serializers.crontab import InlineCrontabSerializer
from scheduler_api.schedules.zone_advice import advice_on_zone, utc_offset_text, zone_names

YEAR = 2027
LETTERS = "abcdefghijklmnopqrstuvwxyz"
zones = st.sampled_from(sorted(zone_names()))
places = st.sampled_from(sorted(name for name in zone_names() if re.fullmatch(r"[^\d]*/.*", name)))


def refusal_of(name: str) -> str:
    """Return the refusal of a time zone by the API, "" if it is accepted."""
    serializer = InlineCrontabSerializer(data={"type": "crontab", "timezone": name})
    return "" if serializer.is_valid() else str(serializer.errors["timezone"][0])


def named_in(text: str) -> list[str]:
    return re.findall("'([^']+)'", text.partition("; ")[2])


def offsets_of(name: str) -> set[timedelta | None]:
    moments = (datetime(YEAR, month, 1, tzinfo=UTC) for month in (1, 7))
    return {moment.astimezone(ZoneInfo(name)).utcoffset() for moment in moments}


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("utc", "did you mean 'UTC'?"),
        ("Z", "did you mean 'UTC'?"),
        ("gmt", "did you mean 'GMT'?"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("Eurpoe/Berlin", "did you mean 'Europe/Berlin'?"),
        ("America/NewYork", "did you mean 'America/New_York'?"),
        ("america/new york", "did you mean 'America/New_York'?"),
        ("Berlin", "did you mean 'Europe/Berlin'?"),
        ("USA/Chicago", "did you mean 'America/Chicago'?"),
        ("eastern", "did you mean 'Canada/Eastern' or 'US/Eastern'?"),
        ("japan", "did you mean 'Japan'?"),
        # abbreviations
        ("IST", ("an abbreviation is ambiguous: use a place such as 'Europe/Dublin' (UTC+01:00), "
         "'Asia/Jerusalem' (UTC+02:00) or 'Asia/Kolkata' (UTC+05:30).")),
        ("PST", ("an abbreviation is ambiguous: use a place such as 'America/Los_Angeles' "
         "(UTC-08:00) or 'Asia/Manila' (UTC+08:00).")),
        ("CST", ("an abbreviation is ambiguous: use a place such as 'America/Chicago' "
         "(UTC-06:00), 'America/Havana' (UTC-05:00) or 'Asia/Shanghai' (UTC+08:00).")),
        ("cest", ("an abbreviation is ambiguous: use a place such as 'Europe/Berlin' "
         "(UTC+02:00).")),
        ("est", ("an abbreviation is ambiguous: use a place such as 'America/New_York' "
         "(UTC-05:00).")),
        ("SGT", "an abbreviation is ambiguous: use a place such as 'Europe/Berlin'."),
        # offsets
        ("GMT+7:00", ("for UTC+07:00 all year use 'Etc/GMT-7', whose sign is reversed, or a "
         "place such as 'Asia/Bangkok'.")),
        ("UTC-3", ("for UTC-03:00 all year use 'Etc/GMT+3', whose sign is reversed, or a place "
         "such as 'America/Sao_Paulo'.")),
        ("+05:30", "for UTC+05:30 all year use a place such as 'Asia/Kolkata'."),
        ("+0545", "for UTC+05:45 all year use a place such as 'Asia/Kathmandu'."),
        ("UTC+00:00", "use 'UTC'."),
        ("-13", "no zone is UTC-13:00 all year: use a place instead."),
        ("+03:30x", "use a name of the IANA database such as 'Europe/Berlin'."),
        ("Etc/GMT+15", ("the sign of such a zone is reversed: 'Etc/GMT-7' is 7 hours ahead of "
         "UTC, and 'Etc/GMT+7' is 7 hours behind it.")),
        # places that no zone is named after
        ("Europe/Munich", "use a name of the IANA database such as 'Europe/Berlin'."),
        ("America/Boston", "use a name of the IANA database such as 'Europe/Berlin'."),
        ("Asia/Delhi", "use a name of the IANA database such as 'Europe/Berlin'."),
        ("Europe/Petersburg", "use a name of the IANA database such as 'Europe/Berlin'."),
        ("Europe/Central", "use a name of the IANA database such as 'Europe/Berlin'."),
        ("W. Europe Standard Time", "use a name of the IANA database such as 'Europe/Berlin'."),
        ("EST5EDX", "use a name of the IANA database such as 'Europe/Berlin'."),
        ("x" * 10_000, "use a name of the IANA database such as 'Europe/Berlin'."),
    ],
)  # fmt: skip
def test_advice_on_an_unknown_zone(name, advice):
    assert advice_on_zone(name, year=YEAR) == advice


@pytest.mark.parametrize("sign", ["+", "-"])
@pytest.mark.parametrize("hours", range(1, 15))
def test_zone_for_an_offset_has_this_offset(sign, hours):
    ahead = timedelta(hours=hours if sign == "+" else -hours)

    names = named_in("; " + advice_on_zone(f"UTC{sign}{hours}", year=YEAR))

    has_zone = hours <= 12 or sign == "+"
    found = {offset for name in names for offset in offsets_of(name)}
    assert found == ({ahead} if has_zone else set())


@given(places, st.integers(0, 40), st.sampled_from(LETTERS), st.sampled_from("drsi"))
def test_name_with_a_slip_is_refused_with_the_zone(name, at, letter, kind):
    at %= len(name)
    head, tail = name[:at], name[at:]
    wrong = {
        "d": head + tail[1:],
        "r": head + letter + tail[1:],
        "s": head + tail[1:2] + tail[:1] + tail[2:],
        "i": head + letter + tail,
    }[kind]
    assume(text := refusal_of(wrong))

    hints = named_in(text)

    assert all(refusal_of(hint) == "" for hint in hints)
    if "did you mean" in text:
        assert any(offsets_of(hint) == offsets_of(name) for hint in hints)


@given(zones, st.sampled_from([str.lower, str.upper, str.swapcase]))
def test_name_in_another_case_is_refused_with_a_zone_of_its_offset(name, spell):
    assume(text := refusal_of(spell(name)))

    hints = named_in(text)

    assert hints
    assert all(refusal_of(hint) == "" for hint in hints)
    if "did you mean" in text:
        assert {offset for hint in hints for offset in offsets_of(hint)} <= offsets_of(name)


@given(
    st.text(st.sampled_from("ABCDEGHIKLMNPRSTUVWZ"), min_size=1, max_size=6)
    | st.text(max_size=12)
    | st.from_regex(r"\A(Etc/|UTC|GMT)?[+-][0-9]{1,2}(:?[0-9]{2})?\Z")
)
def test_each_zone_that_a_refusal_names_is_accepted(name):
    hints = named_in(refusal_of(name)) if "'" not in name else []

    assert all(refusal_of(hint) == "" for hint in hints)


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (timedelta(hours=5, minutes=30), "UTC+05:30"),
        (timedelta(hours=-3, minutes=-30), "UTC-03:30"),
        (timedelta(0), "UTC+00:00"),
    ],
)
def test_offset_in_words(offset, text):
    assert utc_offset_text(offset) == text
