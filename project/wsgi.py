"""The WSGI application that gunicorn serves."""

import os

from scheduler_api.http.application import get_application
from scheduler_api.http.database_limits import limit_connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = get_application()
limit_connections()
