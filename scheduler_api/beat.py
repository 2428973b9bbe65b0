"""The public name of the scheduler, `scheduler_api.beat:DatabaseScheduler`. It never changes."""

from scheduler_api.scheduler.celery_scheduler import DatabaseScheduler

__all__ = ["DatabaseScheduler"]
