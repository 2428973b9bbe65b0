"""Code inside a Celery worker: it records runs and registers the worker and its tasks."""
