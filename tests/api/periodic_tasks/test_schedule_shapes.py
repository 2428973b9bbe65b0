"""Schedules in the shapes of other APIs: each refusal names the schedule that works."""

import json
import re
from typing import Any

import pytest

from tests.api.periodic_tasks.examples import TASKS, heartbeat, mistakes
from tests.api.schedules.bodies import CRONTABS, PREVIEW

EVERY_5_MINUTES = {"type": "interval", "every": 5, "period": "minutes"}
AT_NOON = {"type": "crontab", "expression": "0 12 * * *"}
DAILY = {"type": "crontab", "expression": "@daily"}
ONCE = {"type": "clocked", "clocked_time": "2099-01-01T00:00:00Z"}
SUNSET = {"type": "solar", "event": "sunset", "latitude": 52.52, "longitude": 13.405}


def without_type(schedule: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schedule.items() if name != "type"}


def remedy_in(response: Any) -> Any:
    """Return the schedule that a refusal says to send."""
    [error] = response.json()["errors"]
    found = re.search(r"send ({.*})", error["detail"])
    assert found, error
    return json.loads(found[1])


@pytest.mark.parametrize(
    ("sent", "pointer", "remedy"),
    [
        # the fields of a schedule by its id
        ({"crontab": without_type(AT_NOON)}, "/crontab", AT_NOON),
        ({"crontab": {"minute": "*/5", "timezone": "UTC"}}, "/crontab",
         {"type": "crontab", "minute": "*/5", "timezone": "UTC"}),
        ({"crontab": "0 12 * * *"}, "/crontab", AT_NOON),
        ({"crontab": "@daily"}, "/crontab", DAILY),
        ({"interval": without_type(EVERY_5_MINUTES)}, "/interval", EVERY_5_MINUTES),
        ({"solar": without_type(SUNSET)}, "/solar", SUNSET),
        ({"clocked": without_type(ONCE)}, "/clocked", ONCE),
        ({"clocked": "2099-01-01T00:00:00Z"}, "/clocked", ONCE),
        # the inline schedule
        ({"schedule": "0 12 * * *"}, "/schedule", AT_NOON),
        ({"schedule": "@daily"}, "/schedule", DAILY),
        ({"schedule": 300}, "/schedule", {"type": "interval", "every": 300, "period": "seconds"}),
        ({"schedule": {"crontab": without_type(AT_NOON)}}, "/schedule/type", AT_NOON),
        ({"schedule": {"crontab": "@daily"}}, "/schedule/type", DAILY),
        ({"schedule": {"interval": without_type(EVERY_5_MINUTES)}}, "/schedule/type",
         EVERY_5_MINUTES),
        ({"schedule": {"clocked": "2099-01-01T00:00:00Z"}}, "/schedule/type", ONCE),
        ({"schedule": without_type(AT_NOON)}, "/schedule/type", AT_NOON),
        ({"schedule": without_type(EVERY_5_MINUTES)}, "/schedule/type", EVERY_5_MINUTES),
        ({"schedule": without_type(SUNSET)}, "/schedule/type", SUNSET),
        ({"schedule": without_type(ONCE)}, "/schedule/type", ONCE),
        ({"schedule": {**AT_NOON, "type": "cron"}}, "/schedule/type", AT_NOON),
    ],
)  # fmt: skip
def test_schedule_in_another_shape_is_refused_with_the_one_that_works(api, sent, pointer, remedy):
    body = heartbeat(**sent)
    if "schedule" not in sent:
        del body["schedule"]

    refused = api.post(TASKS, body)

    assert refused.status_code == 400
    assert [where for where, _ in mistakes(refused)] == [pointer]
    assert remedy_in(refused) == remedy
    assert api.post(TASKS, heartbeat(schedule=remedy)).status_code == 201


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"schedule": "0 0 12 * * ?"}, "which crontabs do not have: use '0 12 * * *'"),
        ({"crontab": "0 24 * * *"}, "hour '24' is out of range"),
        ({"clocked": "2020-01-01T00:00:00Z"}, "no slot in the future"),
        ({"schedule": {"every": 5, "minute": "0"}}, "Must be one of interval, crontab"),
        ({"schedule": {"crontab": {}, "interval": {}}}, "Must be one of interval, crontab"),
        ({"schedule": {"crontab": "x" * 400}}, "Must be one of interval, crontab"),
        ({"schedule": []}, "Must be an object such as"),
        ({"schedule": True}, "Must be an object such as"),
        ({"crontab": {"minute": "60"}}, "whole number"),
        ({"crontab": [1]}, "whole number"),
    ],
)  # fmt: skip
def test_schedule_in_another_shape_with_a_mistake_is_refused_for_the_mistake(api, sent, says):
    body = heartbeat(**sent)
    if "schedule" not in sent:
        del body["schedule"]

    refused = api.post(TASKS, body)

    assert refused.status_code == 400
    assert says in refused.json()["errors"][0]["detail"]


def test_preview_of_a_text_is_refused_with_the_schedule_that_works(api):
    refused = api.post(PREVIEW, {"schedule": "0 12 * * *"})

    assert remedy_in(refused) == AT_NOON
    assert api.post(PREVIEW, {"schedule": AT_NOON}).status_code == 200


@pytest.mark.parametrize("field", ["minute", "hour"])
@pytest.mark.parametrize("text", ["@daily", "*/5 * * * *"])
def test_whole_crontab_in_one_field_is_refused_with_the_field_to_use(api, field, text):
    refused = api.post(CRONTABS, {field: text})

    assert "is a whole crontab: send it as expression" in refused.json()["errors"][0]["detail"]
    assert api.post(CRONTABS, {"expression": text}).status_code == 201


def test_unknown_field_in_another_case_is_refused_with_the_known_one(api):
    refused = api.post(TASKS, heartbeat(EXPIRE_SECONDS=5))

    assert "did you mean 'expire_seconds'?" in refused.json()["errors"][0]["detail"]
