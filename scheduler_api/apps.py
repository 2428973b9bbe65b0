"""The Django app."""

from celery.app.task import Task
from celery.signals import before_task_publish
from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class SchedulerApiConfig(AppConfig):
    """Periodic tasks over HTTP."""

    name = "scheduler_api"
    verbose_name = "Scheduler API"

    def ready(self) -> None:
        """Connect the app to Celery, to django-celery-beat's models and to `migrate`.

        Published and received messages hide their secrets from events and logs. Workers record
        their runs, register their tasks, check their queues, and give messages of other services
        back. `migrate` removes and installs the agenda's triggers.
        """
        from scheduler_api.periodic_tasks.message_redaction import hide_secrets  # noqa: PLC0415
        from scheduler_api.periodic_tasks.triggers import migrating  # noqa: PLC0415
        from scheduler_api.schedules.zones import tolerate_unknown_zones  # noqa: PLC0415
        from scheduler_api.worker import (  # noqa: PLC0415
            queue_check,
            registration,
            returned_messages,
            signals,
        )

        tolerate_unknown_zones()
        migrating.connect(self)
        before_task_publish.connect(hide_secrets)
        signals.connect()
        registration.connect()
        returned_messages.connect()
        queue_check.connect()
        Task.Request = "scheduler_api.periodic_tasks.message_redaction:RedactedRequest"


class LimitedAdminConfig(admin_apps.SimpleAdminConfig):
    """Django admin with limited sign-in: name it in INSTALLED_APPS instead of Django's.

    It does not import the admin classes: only a process that serves them needs them, and calls
    `admin.autodiscover()`. Beat and workers start without REST framework.
    """

    default = False  # the default of this package is the app itself
    default_site = "scheduler_api.access.admin_site.LimitedAdminSite"
