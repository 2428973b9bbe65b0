"""A signed-in user of Django admin, and forms as a browser sends them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_celery_beat.models import IntervalSchedule

NAME = "boss"


@pytest.fixture
def admin(db: None) -> Client:
    """A client that is signed in as a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser(NAME))
    return client


@pytest.fixture
def interval(db: None) -> IntervalSchedule:
    return IntervalSchedule.objects.create(every=1, period="hours")


@pytest.fixture
def submit(admin: Client) -> Callable[..., Any]:
    """Return a function that opens a form, changes some of its fields, and sends it."""

    def send(path: str, **fields: object) -> Any:
        form = admin.get(path).context["adminform"].form
        shown = {name: form[name].value() for name in form.fields}
        body = {
            "periodictask_set-TOTAL_FORMS": 0,
            "periodictask_set-INITIAL_FORMS": 0,
            **{name: value for name, value in shown.items() if value not in (None, False)},
            **fields,
        }
        for name in [*body]:
            if isinstance(shown.get(name), list) or name in SPLIT:
                body |= split(name, body.pop(name))
        return admin.post(path, {name: value for name, value in body.items() if value is not None})

    return send


# Fields with a date and a time, which a form of the admin sends one by one.
SPLIT = ("start_time", "expires", "clocked_time")


def split(name: str, value: Any) -> dict[str, object]:
    """Return the two inputs of a date and time."""
    if value is None:
        return {}
    day, time = value if isinstance(value, list) else (value.date(), value.time())
    return {f"{name}_0": day, f"{name}_1": time}


def mistakes(response: Any) -> dict[str, list[str]]:
    """Return the errors of a form that was shown again."""
    assert response.status_code == 200
    errors: dict[str, list[str]] = response.context["adminform"].form.errors
    return errors
