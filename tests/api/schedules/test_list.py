"""GET of a list of schedules, and of a single one."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, SolarSchedule

from tests.api.http.responses import refusal
from tests.api.schedules.bodies import CRONTABS, INTERVALS, KINDS, SOLARS, create_tasks_with
from tests.client import KEY_QUERIES

pytestmark = pytest.mark.both_databases


@pytest.mark.parametrize("kind", KINDS)
def test_list_schedules_without_rows_is_an_empty_page(api, kind):
    path = KINDS[kind][0]

    assert api.get(path).json() == {"next": None, "previous": None, "results": []}


@pytest.mark.parametrize("kind", KINDS)
def test_list_schedules_has_each_one_as_retrieved(api, kind):
    path, *bodies = KINDS[kind]
    created = [api.post(path, body).json() for body in bodies]

    assert api.get(path).json()["results"] == created
    assert [api.get(f"{path}{row['id']}/").json() for row in created] == created


@pytest.mark.parametrize("kind", KINDS)
def test_list_schedules_in_reverse_order(api, kind):
    path, *bodies = KINDS[kind]
    created = [api.post(path, body).json() for body in bodies]

    assert api.get(f"{path}?ordering=id").json()["results"] == created
    assert api.get(f"{path}?ordering=-id").json()["results"] == created[::-1]


@pytest.mark.parametrize("kind", KINDS)
def test_schedule_names_the_tasks_that_use_it(api, kind):
    path, *bodies = KINDS[kind]
    used, unused = [api.post(path, body).json() for body in bodies]
    create_tasks_with(kind, used["id"], ["c", "a", "b"])

    names = [(row["used_by"], row["used_by_count"]) for row in api.get(path).json()["results"]]

    assert names == [(["a", "b", "c"], 3), ([], 0)]
    assert api.get(f"{path}{used['id']}/").json()["used_by"] == ["a", "b", "c"]
    assert api.get(f"{path}{unused['id']}/").json() == unused


def test_schedule_names_at_most_100_tasks_and_counts_all(api):
    rows = [IntervalSchedule.objects.create(every=5, period="days") for _ in range(2)]
    names = [f"task {number:03}" for number in range(105)]
    create_tasks_with("interval", rows[0].pk, names)
    create_tasks_with("interval", rows[1].pk, ["another"])

    first, second = api.get(INTERVALS).json()["results"]

    assert (first["used_by"], first["used_by_count"]) == (names[:100], 105)
    assert (second["used_by"], second["used_by_count"]) == (["another"], 1)


@pytest.mark.parametrize("kind", KINDS)
def test_list_schedules_needs_the_same_number_of_queries_for_any_number_of_rows(api, kind):
    path, *bodies = KINDS[kind]
    queries = []
    for rows in (1, 50):
        for number in range(rows):
            body = bodies[0] if kind != "solar" else {**bodies[0], "latitude": rows + number / 100}
            pk = api.post(path, body).json()["id"]
            create_tasks_with(kind, pk, [f"{rows} {number} {letter}" for letter in "abc"])
        with CaptureQueriesContext(
            connection,
        ) as captured:
            results = api.get(path).json()["results"]
        assert len(results) == min(rows + (rows > 1), 50)
        queries.append(len(captured))

    assert queries == [KEY_QUERIES + 2] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_retrieve_schedule_with_an_unknown_id_is_not_found(api, kind):
    path = KINDS[kind][0]

    for address in (f"{path}999/", f"{path}999/upcoming/", f"{path}0/"):
        assert refusal(api.get(address)) == (404, "not_found")


@pytest.mark.parametrize(
    ("model", "columns", "path", "reason"),
    [
        (IntervalSchedule, {"every": 5, "period": "fortnights"}, INTERVALS, "period 'fortnights'"),
        (IntervalSchedule, {"every": 0, "period": "days"}, INTERVALS, "The interval is"),
        (IntervalSchedule, {"every": 2**31 - 1, "period": "days"}, INTERVALS, "The interval is"),
        (IntervalSchedule, {"every": 1, "period": "microseconds"}, INTERVALS, "The interval is"),
        (CrontabSchedule, {"minute": ""}, CRONTABS, "minute is empty"),
        (CrontabSchedule, {"hour": "*/"}, CRONTABS, "hour '*/'"),
        (CrontabSchedule, {"day_of_month": "31", "month_of_year": "2"}, CRONTABS, "day_of_month"),
        (
            SolarSchedule,
            {"event": "moonrise", "latitude": 0, "longitude": 0},
            SOLARS,
            "event 'moonrise' is unknown",
        ),
        (SolarSchedule, {"event": "sunset", "latitude": 91, "longitude": 0}, SOLARS, "latitude"),
    ],
)
def test_list_schedules_describes_the_error_of_an_invalid_row(api, model, columns, path, reason):
    invalid = model.objects.create(**columns)

    [listed] = api.get(path).json()["results"]
    by_itself = api.get(f"{path}{invalid.pk}/").json()
    upcoming = api.get(f"{path}{invalid.pk}/upcoming/").json()

    assert listed == by_itself
    assert listed["description"].startswith(f"Never: {reason}")
    assert upcoming["upcoming"] == []
    assert upcoming["description"] == listed["description"]


def crontab_in_an_unknown_zone(zone: str) -> CrontabSchedule:
    """Store a crontab with a zone that only raw SQL or another machine could have written."""
    row = CrontabSchedule.objects.create()
    with connection.cursor() as cursor:
        table = CrontabSchedule._meta.db_table
        cursor.execute(f"UPDATE {table} SET timezone = %s WHERE id = %s", [zone, row.pk])
    return row


@pytest.mark.parametrize("zone", ["Mars/Base", ""])
def test_crontab_in_an_unknown_zone_is_listed_and_can_be_corrected(api, zone):
    row = crontab_in_an_unknown_zone(zone)
    address = f"{CRONTABS}{row.pk}/"

    [listed] = api.get(CRONTABS).json()["results"]
    upcoming = api.get(f"{address}upcoming/").json()
    mended = api.patch(address, {"timezone": "Europe/Berlin"})

    assert listed["timezone"] == zone
    assert listed["description"].startswith("Never: ")
    assert upcoming["upcoming"] == []
    assert mended.status_code == 200
    assert mended.json()["description"] == "Every minute (Europe/Berlin)"


def test_crontab_in_an_unknown_zone_can_be_deleted(api):
    row = crontab_in_an_unknown_zone("Mars/Base")

    assert api.delete(f"{CRONTABS}{row.pk}/").status_code == 204
