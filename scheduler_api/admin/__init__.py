"""Django admin: the tables of django-celery-beat behind the API's validation, and ours to read.

Django imports this package when it looks for admin classes.
"""

from scheduler_api.admin import access, periodic_tasks, runs, schedules, webhooks

__all__ = ["access", "periodic_tasks", "runs", "schedules", "webhooks"]
