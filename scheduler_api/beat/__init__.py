"""Celery beat's scheduler: `scheduler_api.beat:DatabaseScheduler`."""

from scheduler_api.beat.scheduler import DatabaseScheduler

__all__ = ["DatabaseScheduler"]
