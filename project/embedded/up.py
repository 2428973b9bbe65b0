"""The program of `make up`: prepare the database, then run and supervise all processes."""

import errno
import re
import shlex
import signal
import socket
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import django
from django.core.management import call_command
from django.db import OperationalError, connection

from project import settings
from project.celery import app
from project.embedded.supervisor import Child, Supervisor
from project.environment import refuse
from project.logs import masked
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

logger = EventLogger(__name__)

# In the order in which they stop. Nothing new is published or requested while the worker finishes,
# and the webhook sender still reports the ends of its runs.
PROCESSES = {
    "beat": ["celery", "-A", "project", "beat"],
    "api": ["gunicorn", "project.wsgi"],
    "worker": ["celery", "-A", "project", "worker"],
    "webhooks": ["python", "manage.py", "deliver_webhooks"],
}

BANNER = """
  API            {address}/api/v1/
  documentation  {address}/docs/
  admin's key    {key}
  try it         curl -s -H "Authorization: Bearer $(cat {key_file})" {address}/api/v1/tasks/
  stop it        Ctrl-C

"""


def main() -> None:
    """Check the settings, prepare the database, print the banner and run the processes."""
    # Until the processes start, a Ctrl-C ends this program without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    refuse_unusable_address()
    django.setup()
    migrate()
    key_file = make_first_key()
    connection.close()
    warn_of_silent_broker()
    sys.stdout.write(banner(key_file))
    sys.stdout.flush()
    Supervisor(
        [
            Child(name=name, command=with_this_python(command))
            for name, command in PROCESSES.items()
        ]
    ).run()


def with_this_python(command: Sequence[str]) -> list[str]:
    """Return a command for the Python that runs this program, whatever PATH says."""
    program, *arguments = command
    return [sys.executable, *(arguments if program == "python" else ["-m", *command])]


def refuse_unusable_address() -> None:
    """Stop the start if the service cannot listen on `HOST` and `PORT`."""
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    try:
        socket.create_server((settings.HOST, settings.PORT), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            fix = f"stop what listens there, or choose another: PORT={settings.PORT + 1} make up"
            refuse("PORT", f"{settings.PORT} is taken", fix)
        fix = "use an address of this machine, such as 127.0.0.1, and a port above 1023"
        refuse("HOST", f"is {settings.HOST!r}, which cannot be listened on ({error})", fix)


def migrate() -> None:
    """Apply all migrations."""
    try:
        call_command("migrate", interactive=False)
    except OperationalError as error:
        reason = f"names a database that cannot be used ({masked(in_one_line(error))})"
        refuse("DATABASE_URL", reason, "correct it, or leave the variable out to use SQLite")
    connection.close()


def make_first_key() -> Path:
    """Write an administrator's key to a file at the first start on a database; return the file."""
    from scheduler_api.access import actions  # noqa: PLC0415 - after setup()

    file = actions.first_key_file(settings.DATA_DIR, database=database_name())
    actions.write_first_key(file)
    return file


def database_name() -> str:
    """Return a name for a file that identifies the database: its own, and a digest of its URL."""
    columns = [str(connection.settings_dict[name]) for name in ("HOST", "PORT", "NAME")]
    name = re.sub(r"[^A-Za-z0-9._-]", "-", Path(columns[-1]).name)
    return f"{name}-{sha256(repr(columns).encode()).hexdigest()[:8]}"


def warn_of_silent_broker() -> None:
    """Log a warning if the broker does not answer; beat and worker keep trying by themselves."""
    with app.connection_for_write() as broker:
        try:
            broker.connect()
        except (*broker.connection_errors, *broker.channel_errors) as error:
            logger.warning(
                LogEvent.BROKER_UNAVAILABLE,
                "BROKER_URL is %(broker)s, which cannot be used yet (%(error)s): beat and worker "
                "keep trying",
                broker=broker.as_uri(),
                error=in_one_line(error),
            )


def banner(key_file: Path) -> str:
    """Return the addresses and the key file, for a reader on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104
    netloc = f"[{host}]" if ":" in host else host
    return BANNER.format(
        address=f"http://{netloc}:{settings.PORT}",
        key=key_file
        if key_file.exists()
        else "manage.py create_api_key --account admin makes a new one",
        key_file=shlex.quote(str(key_file)),
    )


if __name__ == "__main__":
    main()
