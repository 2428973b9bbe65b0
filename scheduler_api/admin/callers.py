"""The user of Django admin as a caller of the API's actions."""

from dataclasses import dataclass

from django.http import HttpRequest

from scheduler_api.access.audit import Caller
from scheduler_api.access.models import ServiceAccount
from scheduler_api.access.scopes import Scope

MAX_NAME_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class AdminRequest:
    """A request as serializers of the API read it: they ask only for its account."""

    user: ServiceAccount


def caller_of(request: HttpRequest) -> Caller:
    """Return the signed-in user as a caller, for the audit log.

    The account is not stored, and so owns nothing. No account can have its name, which has a
    blank. Django's permissions, not scopes, decide on the tables that a user may change.
    """
    name = f"admin user {request.user.get_username()}"[:MAX_NAME_LENGTH]
    return Caller(
        account=ServiceAccount(name=name, scopes=[Scope.ADMIN]),
        request_id=getattr(request, "request_id", ""),
    )
