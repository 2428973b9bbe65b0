"""Writing accounts and keys, each in one transaction."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from scheduler_api.access.audit import COMMAND_LINE, Caller, Operation, note
from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.access.scopes import Scope
from scheduler_api.http.problems import Conflict, Problem

MAX_LIVE_KEYS = 2


class AccountNameTaken(Problem):
    """Another service account has this name."""

    status_code = 409
    code = "account_name_taken"
    example = {
        "detail": "The name 'billing' is taken.",
        "instance": "/api/v1/service-accounts/",
    }


class AccountInUse(Problem):
    """Periodic tasks belong to this service account, so it cannot be deleted."""

    status_code = 409
    code = "account_in_use"
    example = {
        "detail": "Delete its periodic tasks first, or revoke its keys instead.",
        "instance": "/api/v1/service-accounts/1/",
    }


class TooManyKeys(Problem):
    """The service account has two live keys; revoke one before you make another."""

    status_code = 409
    code = "too_many_keys"
    example = {"instance": "/api/v1/api-keys/"}


class LastAdmin(Problem):
    """Nobody could call the API as `admin` any more."""

    status_code = 409
    code = "last_admin"
    example = {
        "detail": "Give another account the scope admin and a key first.",
        "instance": "/api/v1/service-accounts/1/",
    }


@transaction.atomic
def store_account(account: ServiceAccount, *, by: Caller) -> None:
    """Save a new account, or new values of one."""
    stored = ServiceAccount.objects.filter(pk=account.pk).first()
    before = account_fields(stored) if stored else None
    try:
        with transaction.atomic():
            account.save()
    except IntegrityError as error:
        namesakes = ServiceAccount.objects.filter(name=account.name).exclude(pk=account.pk)
        if not namesakes.exists():
            raise
        raise AccountNameTaken(f"The name {account.name!r} is taken.") from error
    operation = Operation.CHANGE if stored else Operation.CREATE
    note(operation, account, by=by, before=before, after=account_fields(account))
    if stored:
        refuse_lockout()


@transaction.atomic
def delete_account(account: ServiceAccount, *, by: Caller) -> None:
    """Delete an account with its keys, unless periodic tasks belong to it."""
    note(Operation.DELETE, account, by=by, before=account_fields(account))
    try:
        account.delete()
    except ProtectedError as error:
        raise AccountInUse(
            "Delete its periodic tasks first, or revoke its keys instead."
        ) from error
    refuse_lockout()


@transaction.atomic
def issue_key(
    account: ServiceAccount, *, expires_at: datetime | None, by: Caller
) -> tuple[ApiKey, str]:
    """Make a key; return it with its text, which is told this once.

    Two may be live at the same time: the new one is handed out before the old one goes.
    """
    if not ServiceAccount.objects.select_for_update().filter(pk=account.pk):
        raise Conflict("The service account was deleted.")
    if account.api_keys.live(at=datetime.now(UTC)).count() >= MAX_LIVE_KEYS:
        raise TooManyKeys
    key, text = ApiKey.issue(account, expires_at=expires_at)
    note(Operation.ISSUE, key, by=by, after=key_fields(key))
    return key, text


def refuse_lockout() -> None:
    """Raise LastAdmin unless an `admin` has a live key still.

    It guards against a slip, not against two of them at once: `manage.py create_api_key`
    opens the API again.
    """
    accounts = ServiceAccount.objects.filter(
        api_keys__in=ApiKey.objects.live(at=datetime.now(UTC))
    )
    if not any(account.is_admin for account in accounts):
        raise LastAdmin("Give another account the scope admin and a key first.")


@transaction.atomic
def revoke_key(key: ApiKey, *, by: Caller) -> None:
    """Refuse a key from now on; one that is revoked stays so since when it was."""
    before, now = key_fields(key), datetime.now(UTC)
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        note(Operation.REVOKE, key, by=by, before=before, after={**before, "revoked_at": now})
        refuse_lockout()


@transaction.atomic
def account_named(name: str, scopes: Iterable[str], *, by: Caller) -> ServiceAccount:
    """Return the account with this name, made with these scopes if there is none."""
    account, is_new = ServiceAccount.objects.get_or_create(
        name=name, defaults={"scopes": sorted(scopes)}
    )
    if is_new:
        note(Operation.CREATE, account, by=by, after=account_fields(account))
    return account


@transaction.atomic
def write_first_key(file: Path) -> bool:
    """Make an `admin` account with a key, and write the key to a file that only we can read.

    Return whether it was made: it is once, with the first start on a database.
    """
    if ServiceAccount.objects.filter(name="admin").exists():
        return False
    account = account_named("admin", [Scope.ADMIN], by=COMMAND_LINE)
    _, text = issue_key(account, expires_at=None, by=COMMAND_LINE)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{text}\n")
    return True


def account_fields(account: ServiceAccount) -> dict[str, object]:
    """Return what the audit tells of an account."""
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
    """Return what the audit tells of a key: nothing that opens the API."""
    return {
        "service_account": key.service_account_id,
        "prefix": key.prefix,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
