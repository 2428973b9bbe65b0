"""The Django app."""

from django.apps import AppConfig


class SchedulerApiConfig(AppConfig):
    """Periodic tasks over HTTP."""

    name = "scheduler_api"
    verbose_name = "Scheduler API"
