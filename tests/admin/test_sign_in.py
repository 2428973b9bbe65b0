"""Sign-in to Django admin: limited, and served only if the setting says so."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

LOGIN = "/admin/login/"


@pytest.fixture
def password(db: None, canary: str) -> str:
    User.objects.create_superuser("boss", password=canary)
    return canary


def sign_in(password: str, *, address: str = "10.0.0.1") -> Any:
    body = {"username": "boss", "password": password, "next": "/admin/"}
    return Client(REMOTE_ADDR=address).post(LOGIN, body)


def test_attempts_beyond_the_limit_are_refused(settings: Any, password: str):
    settings.FAILED_AUTHENTICATION_LIMIT = 3

    statuses = [sign_in("guess", address="10.0.0.2").status_code for _ in range(3)]
    refused = sign_in(password, address="10.0.0.2")

    assert statuses == [200, 200, 200]
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert "Too many sign-ins from this address." in refused.content.decode()
    assert sign_in(password, address="10.0.0.3").status_code == 302


def test_sign_ins_and_failed_keys_share_the_limit(settings: Any, password: str):
    settings.FAILED_AUTHENTICATION_LIMIT = 3
    for _ in range(3):
        assert Client(REMOTE_ADDR="10.0.0.4").get("/api/v1/tasks/").status_code == 401

    assert sign_in(password, address="10.0.0.4").status_code == 429


def test_limit_of_zero_refuses_nobody(settings: Any, password: str):
    settings.FAILED_AUTHENTICATION_LIMIT = 0

    assert {sign_in("guess").status_code for _ in range(5)} == {200}
    assert sign_in(password).status_code == 302


def test_form_is_shown_beyond_the_limit(settings: Any, db: None):
    settings.FAILED_AUTHENTICATION_LIMIT = 1
    for _ in range(2):
        sign_in("guess", address="10.0.0.5")

    assert Client(REMOTE_ADDR="10.0.0.5").get(LOGIN).status_code == 200


STATUS_OF_THE_ADMIN = """
import django
django.setup()
from django.test import Client
response = Client().get("/admin/login/")
print(response.status_code, response["Content-Type"])
"""


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("false", "404 application/problem+json"), ("true", "200 text/html; charset=utf-8")],
)
def test_admin_is_served_if_the_setting_says_so(tmp_path: Path, setting: str, expected: str):
    done = subprocess.run(
        [sys.executable, "-c", STATUS_OF_THE_ADMIN],
        env={
            "DATA_DIR": str(tmp_path),
            "DJANGO_ADMIN": setting,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "ALLOWED_HOSTS": "testserver",
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == expected
