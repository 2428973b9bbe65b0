"""How gunicorn serves the API: it reads this file when started as `gunicorn project.wsgi`."""

from project import settings

host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
bind = f"{host}:{settings.PORT}"
worker_class = "project.server.worker.BufferingWorker"
workers = settings.API_PROCESSES
threads = settings.API_THREADS
# The largest value that gunicorn supports, about that of common proxies.
limit_request_line = 8190
# By default a caller on this machine may set SCRIPT_NAME, and so each link, by a header.
forwarder_headers = ""
# Its default is a file under HOME, which may be missing, read-only or shared by two services.
control_socket_disable = True
# scheduler_api.http.middleware writes the access log.
logconfig_dict = settings.LOGGING
