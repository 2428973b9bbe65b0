"""How gunicorn serves the API: it reads this file when started as `gunicorn project.wsgi`."""

import logging
import os
import sys
from typing import Any

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


def worker_exit(arbiter: Any, worker: Any) -> None:
    """End a worker that has finished at once.

    Python would free all modules and objects first, which takes as long as seconds on a busy
    machine, and wait for threads whose requests are over their time.
    """
    ending = sys.exc_info()[1]
    if worker.booted and isinstance(ending, SystemExit) and not ending.code:
        logging.shutdown()
        os._exit(0)
