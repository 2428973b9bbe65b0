"""The search for secrets finds what is planted, wherever that is."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.utils import timezone

from scheduler_api.access.models import ApiKey, AuditEntry, ServiceAccount
from scheduler_api.http.models import IdempotentResponse
from tests.api.periodic_tasks.examples import stored, update_row
from tests.canaries import LOGS, Secrets, found_in_test_database, tables_in

ROOT = Path(__file__).parent.parent

KEY = "sk_0123abcd_" + "x" * 43


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("a canary sings; sk_0123abcd… is a prefix", []),
        ("canary-0123abcd…", ["canary-0123abcd"]),
        (f"Bearer {KEY}", [KEY]),
        (f"{KEY[:20]}…", [KEY[:20]]),
        ("amqp://guest:guest@host//", ["password of BROKER_URL"]),
        ("the guest of a@b", []),
        ("db: one%2Ftwo-three-four", ["password of DATABASE_URL"]),
        ("db: one/two-three-four", ["password of DATABASE_URL"]),
    ],
)
def test_secrets_are_found_in_a_text(text: str, found: list[str]):
    secrets = Secrets()
    secrets.add_password_of("BROKER_URL", "redis://host;amqp://guest:guest@host//")
    secrets.add_password_of("DATABASE_URL", "postgres://u:one%2Ftwo-three-four@host/name")

    assert secrets.found_in(text) == found


# --- The database -----------------------------------------------------------------------------


def in_an_answer(text: str) -> None:
    account = ServiceAccount.objects.create(name="a")
    IdempotentResponse.objects.create(service_account=account, key="k", status=201, body=text)


def in_the_audit(text: str) -> None:
    after = {"kwargs": {"password": [text]}}
    AuditEntry.objects.create(operation="create", object_id=1, after=after)


def in_a_key(text: str) -> None:
    account = ServiceAccount.objects.create(name="a")
    ApiKey.objects.create(service_account=account, prefix="0123abcd", digest=text)


def in_a_session(text: str) -> None:
    Session.objects.create(session_key="s", session_data=text, expire_date=timezone.now())


def in_a_description(text: str) -> None:
    stored(description=text)


PLACES = {
    "scheduler_api_idempotentresponse.body": in_an_answer,
    "scheduler_api_auditentry.after": in_the_audit,
    "scheduler_api_apikey.digest": in_a_key,
    "django_session.session_data": in_a_session,
    "django_celery_beat_periodictask.description": in_a_description,
}


@pytest.fixture
def undone(db: None) -> Iterator[None]:
    """Undo what the test has planted, before the search that follows each test."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def search() -> list[str]:
    return found_in_test_database(LOGS.secrets)


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("place", PLACES)
def test_secret_is_found_in_the_database(place: str, canary: str):
    PLACES[place](canary)

    assert search() == [f"{place} has {canary}"]


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("column", ["args", "kwargs", "headers"])
def test_arguments_may_have_a_canary_and_no_other_secret(column: str, canary: str):
    task = stored(**{column: json.dumps({"password": canary})})
    assert search() == []

    update_row(task, **{column: json.dumps({"password": [canary, KEY, settings.SECRET_KEY]})})

    place = f"django_celery_beat_periodictask.{column}"
    assert search() == [f"{place} has {KEY}", f"{place} has SECRET_KEY"]


@pytest.mark.django_db
def test_every_table_is_searched():
    with connection.cursor() as cursor:
        searched = tables_in(cursor, connection.vendor)

    assert {model._meta.db_table for model in apps.get_models(include_auto_created=True)} <= {
        *searched
    }


# --- The log ----------------------------------------------------------------------------------


LOG_CALLS = {
    "a message": lambda text: logging.getLogger("a.logger").error(text),
    "an argument": lambda text: logging.getLogger("a.logger").info("%r", {"a": [text]}),
    "a member": lambda text: logging.getLogger("a").info("", extra={"members": {"a": text}}),
    "a traceback": lambda text: logging.getLogger("a").error("", exc_info=RuntimeError(text)),
    "a line at DEBUG": lambda text: logging.getLogger("celery.worker").debug(text),
}


@pytest.mark.parametrize("call", LOG_CALLS)
@pytest.mark.parametrize("what", ["canary", "key", "SECRET_KEY", "known"])
def test_secret_is_found_in_the_log(call: str, what: str, secrets: Secrets, canary: str):
    secrets.texts["hunter2"] = "known"
    text, name = {
        "canary": (canary, canary),
        "key": (KEY, KEY),
        "SECRET_KEY": (settings.SECRET_KEY, "SECRET_KEY"),
        "known": ("hunter2", "known"),
    }[what]

    LOG_CALLS[call](f"It is {text}.")

    [found] = LOGS.take()
    assert f" logged {name}: " in found


def test_text_without_a_secret_passes():
    logging.getLogger("a.logger").error("A canary sings.")

    assert LOGS.take() == []


# --- A whole run ------------------------------------------------------------------------------

LEAKING = """
import logging
import pytest
from django.conf import settings
from project.logs import configure
from tests.api.periodic_tasks.examples import stored

def test_logged(canary):
    logging.getLogger("a").debug(canary)

def test_not_logged():
    configure(settings.LOGGING)

def test_logged_after_the_logs_were_configured_anew(canary):
    logging.getLogger("a").debug(canary)

@pytest.mark.django_db
def test_stored(canary):
    stored(description=canary)

@pytest.mark.django_db(transaction=True)
def test_committed(canary):
    stored(description=canary)

@pytest.mark.django_db
def test_stored_where_it_has_to_be(canary):
    stored(kwargs=canary)
"""


def test_test_that_leaks_fails(tmp_path: Path):
    (tmp_path / "test_leaking.py").write_text(LEAKING)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", ROOT, tmp_path],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    failed = set(re.findall(r"^ERROR .*::test_(\w+)", ran.stdout, re.MULTILINE))
    assert "6 passed, 4 errors" in ran.stdout, ran.stdout + ran.stderr
    assert failed == {
        *("logged", "logged_after_the_logs_were_configured_anew", "stored", "committed")
    }
