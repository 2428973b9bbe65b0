"""What a caller may do: each operation asks for one scope."""

from fnmatch import fnmatchcase
from typing import Any, cast

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from scheduler_api.access.audit import Caller
from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.http.problems import Forbidden, challenge


class HasScope(BasePermission):
    """Lets those in whose account has the scope that the view declares for the action.

    A view that declares none is a mistake of ours, and a KeyError.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raise Forbidden, naming the scope that is missing."""
        if view.action not in view.action_map.values():  # not allowed here, as is told next
            return True
        if scope := view.scopes[view.action]:
            refuse_without(scope, account_of(request))
        return True


def refuse_without(scope: str, account: ServiceAccount) -> None:
    """Raise Forbidden unless an account has a scope."""
    if not account.may(scope):
        raise Forbidden(
            f"The account {account.name!r} does not have the scope {scope}.",
            headers={"WWW-Authenticate": challenge(error="insufficient_scope", scope=scope)},
        )


def account_of(request: Request) -> ServiceAccount:
    """Return the account that calls."""
    return cast(ServiceAccount, request.user)


def caller_of(request: Request) -> Caller:
    """Return what the audit tells of who sends a request."""
    return Caller(
        account=account_of(request),
        key_prefix=cast(ApiKey, request.auth).prefix,
        request_id=request.request_id,  # type: ignore[attr-defined]  # from RequestIdMiddleware
    )


def may_name_task(account: ServiceAccount, task: str) -> bool:
    """Tell whether an account may have this task run."""
    patterns = account.task_patterns
    return not patterns or any(fnmatchcase(task, pattern) for pattern in patterns)


def may_name_queue(account: ServiceAccount, queue: str) -> bool:
    """Tell whether an account may send to this queue."""
    return not account.queues or queue in account.queues
