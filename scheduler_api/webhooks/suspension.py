"""Suspension: a webhook gets no messages while its owner may not have them.

A webhook acts for its owner. It stops when the owner has lost its last live key or the scope, and
goes on by itself when that is mended. The state is computed from the account and not stored.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.access.scopes import Scope

SCOPE = Scope.WEBHOOKS_WRITE
NO_LIVE_KEY = "The owning account has no live API key."
NO_SCOPE = f"The owning account does not have the scope {SCOPE.value}."


def has_live_key(account_column: str, *, at: datetime) -> Exists:
    """Return a query expression: whether the account in a column has a live key."""
    return Exists(ApiKey.objects.live(at=at).filter(service_account=OuterRef(account_column)))


def suspension_reason(owner: ServiceAccount, *, has_live_key: bool) -> str:
    """Return why the webhooks of an account get no messages, for people; "" if they do."""
    if not has_live_key:
        return NO_LIVE_KEY
    return "" if owner.may(SCOPE) else NO_SCOPE


def without_suspended(owner_ids: Iterable[int], *, at: datetime) -> set[int]:
    """Return the accounts whose webhooks are not suspended."""
    accounts: QuerySet[ServiceAccount] = ServiceAccount.objects.filter(pk__in=set(owner_ids))
    return {
        account.pk
        for account in accounts.annotate(is_live=has_live_key("pk", at=at))
        if not suspension_reason(account, has_live_key=account.is_live)
    }
