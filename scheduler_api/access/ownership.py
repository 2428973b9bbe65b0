"""Whose a periodic task is, and who else may see it."""

from django.db.models import Q

from scheduler_api.access.models import ServiceAccount


def visible_to(account: ServiceAccount) -> Q:
    """Select the periodic tasks that an account may see, and so change.

    Others' are not there for it: neither on a list nor at their address. Only `admin` crosses.
    """
    if account.is_admin:
        return Q()
    own = Q(managed__owner=account)
    return own | Q(managed__owner=None) if account.sees_unowned else own
