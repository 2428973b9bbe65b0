"""The Django app."""

from django.apps import AppConfig


class SchedulerApiConfig(AppConfig):
    """Periodic tasks over HTTP."""

    name = "scheduler_api"
    verbose_name = "Scheduler API"

    def ready(self) -> None:
        """Prepare django-celery-beat's models, now that they are loaded."""
        from scheduler_api.schedules.zones import tolerate_unknown_zones  # noqa: PLC0415

        tolerate_unknown_zones()
