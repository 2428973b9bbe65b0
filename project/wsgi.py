"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from scheduler_api.http.database_limits import limit_connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = get_wsgi_application()
limit_connections()
