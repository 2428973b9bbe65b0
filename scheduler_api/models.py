"""The whole data dictionary: our own tables, beside those of django-celery-beat."""

from scheduler_api.access.models import ApiKey, ServiceAccount
from scheduler_api.periodic_tasks.models import ManagedTask

__all__ = ["ApiKey", "ManagedTask", "ServiceAccount"]
