"""The deployable: settings, URLs, the Celery application and the tasks it can run."""

from project.celery import app as celery_app

__all__ = ["celery_app"]
