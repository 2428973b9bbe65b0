"""A task of workers that import this module by `-I`; the API process does not have it."""

from celery import shared_task


@shared_task(name="elsewhere.multiply")
def multiply(x: int, y: int = 2) -> int:
    """Multiply two whole numbers."""
    return x * y
