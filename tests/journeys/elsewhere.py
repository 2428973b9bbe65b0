"""A task that only a worker that is told to import this module has."""

from celery import shared_task


@shared_task(name="elsewhere.multiply")
def multiply(x: int, y: int = 2) -> int:
    """Multiply two whole numbers."""
    return x * y
