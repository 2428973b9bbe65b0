"""Permissions: each operation requires one scope."""

from fnmatch import fnmatchcase
from typing import Any, cast

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from scheduler_api.access.audit import Caller
from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.http.problems import Forbidden, challenge


class HasScope(BasePermission):
    """Require the scope that the view declares for the action.

    A view that declares none is a programming error and raises KeyError.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True; raise Forbidden with the missing scope."""
        if view.action not in view.action_map.values():  # the method is refused next, with 405
            return True
        if scope := view.scopes[view.action]:
            refuse_without(scope, account_of(request))
        return True


def refuse_without(scope: str, account: ServiceAccount) -> None:
    """Raise Forbidden unless the account has the scope."""
    if not account.may(scope):
        raise Forbidden(
            f"The account {account.name!r} does not have the scope {scope}. Ask an admin for it.",
            headers={"WWW-Authenticate": challenge(error="insufficient_scope", scope=scope)},
        )


def account_of(request: Request) -> ServiceAccount:
    """Return the calling account."""
    return cast(ServiceAccount, request.user)


def caller_of(request: Request) -> Caller:
    """Return the caller of a request, for the audit log."""
    return Caller(
        account=account_of(request),
        key_prefix=cast(ApiKey, request.auth).prefix,
        request_id=request.request_id,  # type: ignore[attr-defined]  # from RequestIdMiddleware
    )


def may_name_task(account: ServiceAccount, task: str) -> bool:
    """Return whether an account may use this task."""
    patterns = account.task_patterns
    return not patterns or any(fnmatchcase(task, pattern) for pattern in patterns)


def may_name_queue(account: ServiceAccount, queue: str) -> bool:
    """Return whether an account may use this queue."""
    return not account.queues or queue in account.queues
