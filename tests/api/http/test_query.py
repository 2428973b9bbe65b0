"""Query parameters: unknown, repeated and badly typed ones are refused by name."""

import pytest

from scheduler_api.http.paging import MAX_PAGE_SIZE
from tests.api.http.responses import mistakes, refusal
from tests.api.schedules.bodies import INTERVAL, INTERVALS, PERIODIC_TASKS, PREVIEW

TASKS = "/api/v1/tasks/"


@pytest.fixture
def created(api):
    return api.post(INTERVALS, INTERVAL).json()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", INTERVALS),
        ("get", f"{INTERVALS}1/"),
        ("get", f"{INTERVALS}1/upcoming/"),
        ("post", INTERVALS),
        ("put", f"{INTERVALS}1/"),
        ("patch", f"{INTERVALS}1/"),
        ("delete", f"{INTERVALS}1/"),
        ("post", PREVIEW),
        ("get", PERIODIC_TASKS),
        ("post", PERIODIC_TASKS),
        ("get", TASKS),
    ],
)
@pytest.mark.parametrize("query", ["colour=red", "colour=", "colour", "colour=red&colour=blue"])
def test_unknown_parameter_is_refused_by_every_operation(api, created, method, path, query):
    address = path.replace("/1/", f"/{created['id']}/")

    response = getattr(api, method)(f"{address}?{query}")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [("colour", "unknown_parameter")]
    assert "parameter" in response.json()["errors"][0]
    assert "pointer" not in response.json()["errors"][0]
    assert api.get(INTERVALS).json()["results"] == [created]


@pytest.mark.parametrize(
    ("address", "name", "hint"),
    [
        (f"{INTERVALS}?pagesize=5", "pagesize", "did you mean 'page_size'?"),
        (f"{INTERVALS}?order=id", "order", "did you mean 'ordering'?"),
        (f"{INTERVALS}?page=2", "page", "did you mean 'page_size'?"),
        (f"{INTERVALS}?Cursor=", "Cursor", "did you mean 'cursor'?"),
        (f"{INTERVALS}?x=1", "x", "known: cursor, ordering, page_size."),
        (f"{INTERVALS}?=1", "", "known: cursor, ordering, page_size."),
        (f"{INTERVALS}?a%00b=1", "a\0b", "known: cursor, ordering, page_size."),
        (f"{INTERVALS}?{'x' * 3000}=1", "x" * 3000, "known: cursor, ordering, page_size."),
    ],
)
def test_unknown_parameter_is_refused_with_the_closest_name(api, address, name, hint):
    response = api.get(address)

    assert mistakes(response) == [(name, "unknown_parameter")]
    assert hint in response.json()["detail"]


def test_unknown_parameter_of_an_operation_without_any_is_refused(api, created):
    response = api.get(f"{INTERVALS}{created['id']}/?x=1")

    assert "none is allowed here" in response.json()["detail"]


def test_all_unknown_parameters_are_reported_at_once(api):
    response = api.get(f"{INTERVALS}?x=1&page_size=5&y=2")

    assert mistakes(response) == [("x", "unknown_parameter"), ("y", "unknown_parameter")]


@pytest.mark.parametrize("name", ["cursor", "page_size", "ordering"])
@pytest.mark.parametrize("path", [INTERVALS, PERIODIC_TASKS])
def test_repeated_parameter_is_refused(api, path, name):
    response = api.get(f"{path}?{name}=1&{name}=1")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [(name, "duplicate_parameter")]


@pytest.mark.parametrize("size", ["1", "7", "499", "500", "007"])
def test_page_size_from_1_to_500_is_accepted(api, size):
    assert api.get(f"{INTERVALS}?page_size={size}").status_code == 200


@pytest.mark.parametrize(
    "size",
    ["0", "501", "-1", "", "ten", "1.0", "1e2", "0x1", "1_0", "%205", "+5", "%D9%A5", "9" * 5000,
     "true", "null", "5%00"],
)  # fmt: skip
@pytest.mark.parametrize("path", [INTERVALS, PERIODIC_TASKS])
def test_other_page_size_is_refused(api, path, size):
    response = api.get(f"{path}?page_size={size}")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [("page_size", "invalid")]
    assert f"from 1 to {MAX_PAGE_SIZE}" in response.json()["detail"]


@pytest.mark.parametrize(
    "ordering", ["", "every", "-every", "ID", "--id", "id,name", "+id", "pk", "?", "id%00", "-"]
)
def test_unknown_ordering_is_refused_with_the_allowed_ones(api, ordering):
    response = api.get(f"{INTERVALS}?ordering={ordering}")

    assert refusal(response) == (400, "invalid_query")
    assert mistakes(response) == [("ordering", "invalid")]
    assert "Must be one of id, -id." in response.json()["detail"]
