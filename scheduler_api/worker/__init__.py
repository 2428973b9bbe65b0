"""Code that runs inside a Celery worker: it records runs and registers the worker's tasks."""
