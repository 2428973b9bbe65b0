"""The fast list reader, compared with Django's rows."""

import pytest
from django.db.models import Count, F, Prefetch
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.http import rows, serializers
from scheduler_api.http.rows import read_only
from scheduler_api.periodic_tasks.models import ManagedTask
from tests.api.periodic_tasks.examples import stored

pytestmark = pytest.mark.both_databases

TASKS = PeriodicTask.objects.order_by("id")


@pytest.fixture(autouse=True)
def two(db):
    """A periodic task with an owner, and one without managed settings."""
    account = ServiceAccount.objects.create(name="crm")
    ApiKey.issue(account)
    owned = stored(name="ant", crontab=CrontabSchedule.objects.create(timezone="Europe/Berlin"))
    ManagedTask.objects.create(periodic_task=owned, owner=account, labels={"team": "sales"})
    stored(name="bee", args="[1]")


@pytest.mark.parametrize(
    ("query", "joined"),
    [
        (TASKS, []),
        (TASKS.filter(name="cat"), []),
        (TASKS.select_related("interval", "crontab", "solar"), ["interval", "crontab", "solar"]),
        (TASKS.select_related("managed"), ["managed"]),
        (TASKS.select_related("managed__owner"), ["managed", "managed.owner"]),
        (TASKS.annotate(owner=F("managed__owner__name")), []),
        (TASKS.annotate(owner=F("managed__owner__name")).select_related("managed"), ["managed"]),
        (TASKS.only("name"), []),
        (TASKS.defer("args").select_related("interval").order_by("-id")[:1], ["interval"]),
        (ApiKey.objects.select_related("service_account"), ["service_account"]),
        (ManagedTask.objects.select_related("periodic_task"), ["periodic_task"]),
        (IntervalSchedule.objects.annotate(count=Count("periodictask")), []),
    ],
)
def test_fast_row_equals_djangos_row(query, joined):
    rows = [contents(row, joined) for row in read_only(query)]

    assert rows == [contents(row, joined) for row in query.all()]


def contents(row, joined):
    """Return the contents of a row and its joined rows, without a query."""
    found = [row]
    for path in joined:
        start, _, name = path.rpartition(".")
        parent = found[joined.index(start) + 1] if start else row
        found.append(parent and parent._state.fields_cache[name])
    return [
        one and (type(one), {**vars(one), "_state": (one._state.db, one._state.adding)})
        for one in found
    ]


@pytest.mark.parametrize("is_on", [True, False])
def test_list_uses_the_fast_reader_only_with_fast_paths(api, settings, monkeypatch, is_on):
    settings.FAST_PATHS = is_on
    used: set[str] = set()
    make, read = rows.row_factory, serializers.read
    monkeypatch.setattr(rows, "row_factory", lambda *args: used.add("rows") or make(*args))
    monkeypatch.setattr(serializers, "read", lambda *args: used.add("fields") or read(*args))

    answer = api.get("/api/v1/periodic-tasks/")

    assert [task["name"] for task in answer.json()["results"]] == ["ant", "bee"]
    assert used == ({"rows", "fields"} if is_on else set())


def test_fast_reader_sends_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        ant, bee = read_only(TASKS.select_related("interval", "crontab", "managed"))

        assert str(ant.crontab.timezone) == "Europe/Berlin"
        assert ant.interval is None
        assert ant.managed.labels == {"team": "sales"}
        assert bee.interval.every == 30
        with pytest.raises(ManagedTask.DoesNotExist):
            _ = bee.managed


def test_deferred_column_is_fetched_on_access():
    ant, _ = read_only(TASKS.only("name"))

    assert ant.get_deferred_fields() >= {"task", "crontab_id"}
    assert ant.task == "project.tasks.heartbeat"
    assert str(ant.crontab.timezone) == "Europe/Berlin"


def test_prefetched_rows_are_available(django_assert_num_queries):
    followers = Prefetch("periodictask_set", TASKS, to_attr="followers")

    with django_assert_num_queries(2):
        (crontab,) = read_only(CrontabSchedule.objects.prefetch_related(followers))

        assert [task.name for task in crontab.followers] == ["ant"]
