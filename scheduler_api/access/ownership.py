"""Ownership: the periodic tasks and runs that an account may access."""

from django.db.models import Q

from scheduler_api.access.models import ServiceAccount


def visible_to(account: ServiceAccount, *, owner: str = "managed__owner") -> Q:
    """Select the rows that an account may read and change, by the column of the owner's id.

    The default column is that of periodic tasks. Other accounts' rows do not exist for the
    account: neither in a list nor at their URL. Only `admin` accesses all rows.
    """
    if account.is_admin:
        return Q()
    own = Q(**{owner: account.pk})
    return own | Q(**{owner: None}) if account.sees_unowned else own
