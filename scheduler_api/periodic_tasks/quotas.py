"""Quotas: the maximum number of periodic tasks of an account."""

from scheduler_api.access.models import ServiceAccount
from scheduler_api.http.problems import Problem
from scheduler_api.periodic_tasks.models import ManagedTask


class TooManyPeriodicTasks(Problem):
    """The service account has reached its limit of periodic tasks."""

    status_code = 409
    code = "too_many_periodic_tasks"
    example = {"detail": "The account 'reports' owns 1 of at most 1 periodic tasks."}


def refuse_beyond_quota(account: ServiceAccount, *, more: int) -> None:
    """Raise TooManyPeriodicTasks if an account may not own `more` further periodic tasks.

    Call this first in the transaction that creates them. It locks the account until the end of
    the transaction, so that two requests cannot use the same free place. Without a quota it locks
    nothing.
    """
    if account.max_periodic_tasks is None:
        return
    # no_key: a transaction that only references the account need not wait.
    rows = ServiceAccount.objects.select_for_update(no_key=True).filter(pk=account.pk)
    quota = rows.values_list("max_periodic_tasks", flat=True).first()
    if quota is None:
        return
    owned = ManagedTask.objects.filter(owner=account).count()
    if owned + more > quota:
        raise TooManyPeriodicTasks(
            f"The account {account.name!r} owns {owned} of at most {quota} periodic tasks."
        )
