"""`manage.py create_api_key`: access without a key."""

import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from scheduler_api.access.actions import first_key_file, write_first_key
from scheduler_api.access.models import ApiKey, ServiceAccount
from tests.api.access.callers import ACCOUNTS, INDEX, account_of, with_key

pytestmark = pytest.mark.django_db


def create(*arguments: str) -> str:
    """Run the command and return its output."""
    out = io.StringIO()
    call_command("create_api_key", *arguments, stdout=out)
    return out.getvalue()


def test_command_prints_only_the_key():
    printed = create("--account", "ops", "--scopes", "admin")

    assert re.fullmatch(r"sk_[0-9a-f]{8}_[\w-]{43}\n", printed)
    assert with_key(printed.strip()).get(ACCOUNTS).status_code == 200
    assert account_of("ops").scopes == ["admin"]


def test_existing_account_gets_another_key():
    create("--account", "ops", "--scopes", "tasks:read", "runs:read")

    key = create("--account", "ops").strip()

    assert with_key(key).get(INDEX).status_code == 200
    assert account_of("ops").api_keys.count() == 2
    assert account_of("ops").scopes == ["runs:read", "tasks:read"]


def test_existing_account_accepts_its_own_scopes():
    create("--account", "ops", "--scopes", "tasks:read", "runs:read")

    assert create("--account", "ops", "--scopes", "runs:read", "tasks:read")


def test_command_creates_an_expiring_key():
    create("--account", "ops", "--scopes", "admin", "--expires", "2100-01-01T00:00:00Z")

    assert ApiKey.objects.get().expires_at.isoformat() == "2100-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--account"),
        (["--account", "new"], "Pass --scopes"),
        (["--account", "new", "--scopes", "everything"], "invalid choice: 'everything'"),
        (["--account", "two words", "--scopes", "admin"], "Start with a letter or a digit"),
        (["--account", "", "--scopes", "admin"], "Start with a letter or a digit"),
        (["--account", "x\n", "--scopes", "admin"], "Start with a letter or a digit"),
        (["--account", "old", "--scopes", "admin"], "has the scopes tasks:read"),
        (["--account", "old", "--expires", "2020-01-01T00:00:00Z"], "in the past"),
        (["--account", "old", "--expires", "2100-01-01T00:00:00"], "needs an offset"),
        (["--account", "old", "--expires", "2100-01-01"], "needs an offset"),
        (["--account", "old", "--expires", "tomorrow"], "--expires"),
    ],
)
def test_invalid_argument_is_refused_with_the_reason(arguments, complaint):
    ServiceAccount.objects.create(name="old", scopes=["tasks:read"])

    with pytest.raises(CommandError, match=re.escape(complaint)):
        create(*arguments)

    assert not ApiKey.objects.exists()
    assert ServiceAccount.objects.count() == 1


def test_third_key_is_refused_with_the_reason():
    for _ in range(2):
        create("--account", "ops", "--scopes", "admin")

    with pytest.raises(CommandError, match=r"two live keys\. Revoke one"):
        create("--account", "ops")

    assert ApiKey.objects.count() == 2


def test_command_restores_access_after_a_lockout(api):
    ServiceAccount.objects.update(scopes=[])
    assert api.get(ACCOUNTS).status_code == 403

    key = create("--account", "rescue", "--scopes", "admin").strip()

    assert with_key(key).get(ACCOUNTS).status_code == 200


# --- The first key, which `make up` writes ---------------------------------------------------


def test_first_start_writes_a_key_file_for_this_user_only(tmp_path: Path):
    file = tmp_path / "admin.key"

    assert write_first_key(file) is True

    assert file.stat().st_mode & 0o777 == 0o600
    assert with_key(file.read_text().strip()).get(ACCOUNTS).status_code == 200


def test_later_start_keeps_the_key_file(tmp_path: Path):
    file = tmp_path / "admin.key"
    write_first_key(file)
    text = file.read_text()

    assert write_first_key(file) is False

    assert file.read_text() == text
    assert ApiKey.objects.count() == 1


def test_key_file_without_its_database_is_replaced(tmp_path: Path):
    file = tmp_path / "admin.key"
    file.write_text("sk_of_a_database_that_is_gone\n")
    file.chmod(0o644)

    assert write_first_key(file) is True

    assert file.stat().st_mode & 0o777 == 0o600
    assert with_key(file.read_text().strip()).get(INDEX).status_code == 200


def test_file_of_the_first_key_has_no_key_of_another_database(tmp_path: Path):
    file = tmp_path / "admin.key"
    assert first_key_file(tmp_path, database="one") == file
    write_first_key(file)
    assert first_key_file(tmp_path, database="one") == file

    ServiceAccount.objects.all().delete()  # a database without this key
    other = first_key_file(tmp_path, database="two")
    text = file.read_text()
    assert write_first_key(other) is True

    assert other == tmp_path / "admin-two.key"
    assert file.read_text() == text
    assert with_key(other.read_text().strip()).get(INDEX).status_code == 200
    assert first_key_file(tmp_path, database="two") == other


def test_revoked_key_is_still_of_its_database(tmp_path: Path):
    write_first_key(tmp_path / "admin.key")
    ApiKey.objects.update(revoked_at=datetime.now(UTC))

    assert first_key_file(tmp_path, database="one") == tmp_path / "admin.key"


def test_key_is_not_created_if_its_file_cannot_be_written(tmp_path: Path):
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        write_first_key(tmp_path / "nowhere" / "admin.key")

    assert not ServiceAccount.objects.exists()
