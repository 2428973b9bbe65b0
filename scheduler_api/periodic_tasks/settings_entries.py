"""What CELERY_BEAT_SCHEDULE names, and what it named once."""

from collections.abc import Collection

from django.db import transaction
from django_celery_beat.models import PeriodicTask

from scheduler_api.periodic_tasks.models import ManagedTask, managed_half

ManagedBy = ManagedTask.ManagedBy


@transaction.atomic
def take_over(names: Collection[str]) -> None:
    """Mark the periodic tasks of these names as managed by the settings.

    One that they named before, and then not, is enabled again.
    """
    tasks = PeriodicTask.objects.select_related("managed").filter(name__in=names)
    for task in tasks.exclude(managed__managed_by=ManagedBy.SETTINGS):
        managed = managed_half(task)
        if not managed._state.adding and managed.owner_id is None:
            _switch(task, managed, on=True)
        managed.managed_by = ManagedBy.SETTINGS
        managed.save()


@transaction.atomic
def let_go(names: Collection[str]) -> list[PeriodicTask]:
    """Disable, and return, the periodic tasks that the settings named, and no longer do."""
    tasks = PeriodicTask.objects.select_related("managed").select_for_update(of=("self",))
    gone = list(tasks.filter(managed__managed_by=ManagedBy.SETTINGS).exclude(name__in=names))
    for task in gone:
        managed = managed_half(task)
        _switch(task, managed, on=False)
        managed.managed_by = ManagedBy.ADMIN
        managed.save()
    return gone


def _switch(task: PeriodicTask, managed: ManagedTask, *, on: bool) -> None:
    """Enable or disable a task; one that is paused, for when it resumes."""
    managed.enabled_on_resume = on
    if managed.paused_at is None and task.enabled != on:
        task.enabled = on
        task.save(update_fields=["enabled", "date_changed"])
