"""Names that a refusal suggests: the caller may use each of them."""

import re

import pytest

from tests.api.access.callers import service
from tests.api.periodic_tasks.examples import TASKS, heartbeat


@pytest.mark.parametrize(
    ("limits", "sent"),
    [
        ({}, {"task": "project.tasks.heartbeet"}),
        ({}, {"task": "PROJECT.TASKS.HEARTBEAT"}),
        ({}, {"queue": "Celery"}),
        ({"task_patterns": ["project.tasks.heart*"]}, {"task": "project.tasks.hearts"}),
        ({"task_patterns": ["project.tasks.ad*"]}, {"task": "project.tasks.heartbeet"}),
        ({"queues": ["fast"]}, {"queue": "fest"}),
        ({"queues": ["fast"]}, {"queue": "celer"}),
    ],
)
def test_suggested_name_is_accepted_when_sent(db, settings, limits, sent):
    settings.QUEUES = ["celery", "fast"]
    caller = service("limited", **limits)
    body = heartbeat(queue="fast", **({"args": [1, 2]} if "ad*" in str(limits) else {})) | sent

    refused = caller.post(TASKS, body)

    details = [error["detail"] for error in refused.json()["errors"]]
    hints = re.findall("did you mean '([^']+)'", " ".join(details))
    assert refused.status_code == 400
    [field] = sent
    for hint in hints:
        assert caller.post(TASKS, body | {field: hint}).status_code == 201
    known = re.findall(r"known: ([^;]*?)\.(?: |$)", " ".join(details))
    assert hints or known


def test_refusal_of_a_queue_names_no_queue_of_others(db, settings):
    settings.QUEUES = ["celery", "fast"]

    refused = service("limited", queues=["fast"]).post(TASKS, heartbeat(queue="celeri"))

    assert "'celery'" not in refused.text
