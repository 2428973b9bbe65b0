"""How many periodic tasks an account may own."""

from scheduler_api.access.models import ServiceAccount
from scheduler_api.http.problems import Problem
from scheduler_api.periodic_tasks.models import ManagedTask


class TooManyPeriodicTasks(Problem):
    """The service account may not own so many periodic tasks."""

    status_code = 409
    code = "too_many_periodic_tasks"
    example = {"detail": "The account 'reports' owns 1 and may own 1."}


def refuse_beyond_quota(account: ServiceAccount, *, more: int) -> None:
    """Raise TooManyPeriodicTasks if so many more would be more than an account may own.

    Call this first in the transaction that creates them: until its end, others of the same
    account wait here, so that no two of them see the same room. Without a quota nobody waits.
    """
    if account.max_periodic_tasks is None:
        return
    # Not locked as a key: who only refers to the account need not wait.
    rows = ServiceAccount.objects.select_for_update(no_key=True).filter(pk=account.pk)
    quota = rows.values_list("max_periodic_tasks", flat=True).first()
    if quota is None:
        return
    owned = ManagedTask.objects.filter(owner=account).count()
    if owned + more > quota:
        raise TooManyPeriodicTasks(
            f"The account {account.name!r} owns {owned} and may own {quota}."
        )
