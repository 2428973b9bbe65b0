"""The Celery application: `celery -A project worker`, `celery -A project beat`."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

TRANSPORT_ALIASES["filesystem"] = "project.embedded_broker:Transport"

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["project"])
app.autodiscover_tasks()
