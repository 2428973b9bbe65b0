"""Writing accounts and keys, each in one transaction."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.access.scopes import Scope
from scheduler_api.http.problems import Problem

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


def store_account(account: ServiceAccount) -> None:
    """Save a new account, or new values of one."""
    try:
        with transaction.atomic():
            account.save()
    except IntegrityError as error:
        namesakes = ServiceAccount.objects.filter(name=account.name).exclude(pk=account.pk)
        if not namesakes.exists():
            raise
        raise AccountNameTaken(f"The name {account.name!r} is taken.") from error


@transaction.atomic
def delete_account(account: ServiceAccount) -> None:
    """Delete an account with its keys, unless periodic tasks belong to it."""
    try:
        account.delete()
    except ProtectedError as error:
        raise AccountInUse(
            "Delete its periodic tasks first, or revoke its keys instead."
        ) from error


@transaction.atomic
def issue_key(account: ServiceAccount, *, expires_at: datetime | None) -> tuple[ApiKey, str]:
    """Make a key; return it with its text, which is told this once.

    Two may be live at the same time: the new one is handed out before the old one goes.
    """
    ServiceAccount.objects.select_for_update().get(pk=account.pk)
    if account.api_keys.live(at=datetime.now(UTC)).count() >= MAX_LIVE_KEYS:
        raise TooManyKeys
    return ApiKey.issue(account, expires_at=expires_at)


def revoke_key(key: ApiKey) -> None:
    """Refuse a key from now on; one that is revoked stays so since when it was."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=datetime.now(UTC))


@transaction.atomic
def account_named(name: str, scopes: Iterable[str]) -> ServiceAccount:
    """Return the account with this name, made with these scopes if there is none."""
    account, _ = ServiceAccount.objects.get_or_create(
        name=name, defaults={"scopes": sorted(scopes)}
    )
    return account


@transaction.atomic
def write_first_key(file: Path) -> bool:
    """Make an `admin` account with a key, and write the key to a file that only we can read.

    Return whether it was made: it is once, with the first start on a database.
    """
    if ServiceAccount.objects.filter(name="admin").exists():
        return False
    account = account_named("admin", [Scope.ADMIN])
    _, text = issue_key(account, expires_at=None)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{text}\n")
    return True
