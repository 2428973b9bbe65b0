"""Actions on service accounts and API keys, each in one transaction."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from scheduler_api.access.audit import COMMAND_LINE, Caller, Operation, record_entry
from scheduler_api.access.models import ApiKey, ServiceAccount, digest_of
from scheduler_api.access.scopes import Scope
from scheduler_api.http.problems import Conflict, Problem

MAX_LIVE_KEYS = 2


class AccountNameTaken(Problem):
    """Another service account has this name."""

    status_code = 409
    code = "account_name_taken"
    example = {
        "detail": "The name 'billing' is taken. Choose another name.",
        "instance": "/api/v1/service-accounts/",
    }


class AccountInUse(Problem):
    """The service account owns periodic tasks, so it cannot be deleted."""

    status_code = 409
    code = "account_in_use"
    example = {
        "detail": "Delete its periodic tasks first, or revoke its API keys instead.",
        "instance": "/api/v1/service-accounts/1/",
    }


class TooManyKeys(Problem):
    """The service account has two live keys. Revoke one before you create another."""

    status_code = 409
    code = "too_many_keys"
    example = {"instance": "/api/v1/api-keys/"}


class LastAdmin(Problem):
    """The change would leave no account with the scope `admin` and a live key."""

    status_code = 409
    code = "last_admin"
    example = {
        "detail": "Give another account the scope admin and an API key first.",
        "instance": "/api/v1/service-accounts/1/",
    }


@transaction.atomic
def store_account(account: ServiceAccount, *, by: Caller) -> None:
    """Store a new account, or the changed values of a stored one."""
    stored = ServiceAccount.objects.filter(pk=account.pk).first()
    before = account_fields(stored) if stored else None
    try:
        with transaction.atomic():
            account.save()
    except IntegrityError as error:
        namesakes = ServiceAccount.objects.filter(name=account.name).exclude(pk=account.pk)
        if not namesakes.exists():
            raise
        raise AccountNameTaken(
            f"The name {account.name!r} is taken. Choose another name."
        ) from error
    operation = Operation.CHANGE if stored else Operation.CREATE
    record_entry(operation, account, by=by, before=before, after=account_fields(account))
    if stored:
        refuse_lockout()


@transaction.atomic
def delete_account(account: ServiceAccount, *, by: Caller) -> None:
    """Delete an account and its keys, unless it owns periodic tasks."""
    record_entry(Operation.DELETE, account, by=by, before=account_fields(account))
    try:
        account.delete()
    except ProtectedError as error:
        raise AccountInUse(
            "Delete its periodic tasks first, or revoke its API keys instead."
        ) from error
    refuse_lockout()


@transaction.atomic
def issue_key(
    account: ServiceAccount, *, expires_at: datetime | None, by: Caller
) -> tuple[ApiKey, str]:
    """Create a key; return it and its text, which is not stored.

    Two keys may be live at the same time, so that clients can move to the new key before the old
    one is revoked.
    """
    if not ServiceAccount.objects.select_for_update(no_key=True).filter(pk=account.pk):
        raise Conflict("The service account was deleted. Create it again, or choose another.")
    if account.api_keys.live(at=datetime.now(UTC)).count() >= MAX_LIVE_KEYS:
        raise TooManyKeys
    key, text = ApiKey.issue(account, expires_at=expires_at)
    record_entry(Operation.ISSUE, key, by=by, after=key_fields(key))
    return key, text


def refuse_lockout() -> None:
    """Raise LastAdmin unless an `admin` account still has a live key.

    This guards against one mistake, not against two concurrent ones:
    `manage.py create_api_key` restores access.
    """
    accounts = ServiceAccount.objects.filter(
        api_keys__in=ApiKey.objects.live(at=datetime.now(UTC))
    )
    if not any(account.is_admin for account in accounts):
        raise LastAdmin("Give another account the scope admin and an API key first.")


@transaction.atomic
def revoke_key(key: ApiKey, *, by: Caller) -> None:
    """Revoke a key; the time of an earlier revocation stays."""
    before, now = key_fields(key), datetime.now(UTC)
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        record_entry(
            Operation.REVOKE, key, by=by, before=before, after={**before, "revoked_at": now}
        )
        refuse_lockout()


@transaction.atomic
def get_or_create_account(name: str, scopes: Iterable[str], *, by: Caller) -> ServiceAccount:
    """Return the account with this name; create it with these scopes if it is missing."""
    account, is_new = ServiceAccount.objects.get_or_create(
        name=name, defaults={"scopes": sorted(scopes)}
    )
    if is_new:
        record_entry(Operation.CREATE, account, by=by, after=account_fields(account))
    return account


def first_key_file(folder: Path, *, database: str) -> Path:
    """Return the file for the first key of this database, without the key of any other in it.

    It is admin.key. If that file has a key that this database does not know, a start on another
    database wrote it, and the file of this one has its name: `admin-{database}.key`.
    """
    file = folder / "admin.key"
    if not file.exists():
        return file
    digest = digest_of(file.read_text().strip())
    is_ours = ApiKey.objects.filter(digest=digest).exists()
    return file if is_ours else folder / f"admin-{database}.key"


@transaction.atomic
def write_first_key(file: Path) -> bool:
    """Create an `admin` account with a key, and write the key to a file only this user can read.

    Return whether it was created: only the first start on a database creates it.
    """
    if ServiceAccount.objects.filter(name="admin").exists():
        return False
    account = get_or_create_account("admin", [Scope.ADMIN], by=COMMAND_LINE)
    _, text = issue_key(account, expires_at=None, by=COMMAND_LINE)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{text}\n")
    return True


def account_fields(account: ServiceAccount) -> dict[str, object]:
    """Return the fields of an account that the audit log records."""
    names = (
        "name",
        "scopes",
        "task_patterns",
        "queues",
        "sees_unowned",
        "requests_per_minute",
        "max_periodic_tasks",
        "min_interval_seconds",
    )
    return {name: getattr(account, name) for name in names}


def key_fields(key: ApiKey) -> dict[str, object]:
    """Return the fields of a key that the audit log records, without the secret."""
    return {
        "service_account": key.service_account_id,
        "prefix": key.prefix,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
