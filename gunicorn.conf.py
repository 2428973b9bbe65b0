"""How gunicorn serves the API: it reads this file when started as `gunicorn project.wsgi`."""

from project import settings

host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
bind = f"{host}:{settings.PORT}"
worker_class = "gthread"
workers = settings.API_PROCESSES
threads = settings.API_THREADS
# All that gunicorn takes, about as much as the proxies before it: a longer line is refused by
# gunicorn itself, with 414 in HTML.
limit_request_line = 8190
# It would be a file under HOME, which may be missing, read-only or shared by two services.
control_socket_disable = True
# The access log is scheduler_api.http.middleware's.
logconfig_dict = settings.LOGGING
