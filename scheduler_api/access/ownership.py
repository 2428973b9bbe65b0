"""Whose a periodic task or a run is, and who else may see it."""

from django.db.models import Q

from scheduler_api.access.models import ServiceAccount


def visible_to(account: ServiceAccount, *, owner: str = "managed__owner") -> Q:
    """Select what an account may see, and so change, by the column that has its owner's id.

    By default, of periodic tasks. Others' are not there for it: neither on a list nor at their
    address. Only `admin` crosses.
    """
    if account.is_admin:
        return Q()
    own = Q(**{owner: account.pk})
    return own | Q(**{owner: None}) if account.sees_unowned else own
