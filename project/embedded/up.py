"""The program of `make up`: prepare the database, then run and supervise all processes."""

import errno
import fcntl
import re
import shlex
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import IO

import django
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from project import settings
from project.celery import app
from project.embedded.supervisor import Child, Supervisor
from project.environment import refuse
from project.logs import masked
from scheduler_api.log_events import EventLogger, LogEvent, in_one_line

logger = EventLogger(__name__)

PROCESSES = {
    "beat": ["celery", "-A", "project", "beat"],
    "api": ["gunicorn", "project.wsgi"],
    "worker": ["celery", "-A", "project", "worker"],
    "webhooks": ["python", "manage.py", "deliver_webhooks"],
}
# Processes that stop last: the webhook sender reports the ends of the last runs.
LAST = {"webhooks"}
# After this long, the addresses are printed even if a process does not work yet.
READY_TIMEOUT = timedelta(seconds=60)

LOCK_FILE = settings.DATA_DIR / "up.lock"
BANNER = """
  API            {address}/api/v1/
  documentation  {address}/docs/
  admin's key    {key}
  try it         curl -s -H "Authorization: Bearer $(cat {key_file})" {address}/api/v1/tasks/
  stop it        Ctrl-C
  show this      make up, in another terminal

"""


def main() -> None:
    """Check the settings, prepare the database, run the processes, and print the banner."""
    # Until the processes start, a Ctrl-C ends this program without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with locked_data() as lock:
        refuse_unusable_address()
        django.setup()
        migrate()
        text = banner(make_first_key())
        lock.write(text)
        lock.flush()
        connection.close()
        warn_of_silent_broker()
        children = [
            Child(name=name, command=with_this_python(command), stage=int(name in LAST))
            for name, command in PROCESSES.items()
        ]
        Supervisor(children, announce=Announcer(text).announce).run()


@contextmanager
def locked_data() -> Iterator[IO[str]]:
    """Hold the lock of DATA_DIR; if another `make up` holds it, print its banner and exit.

    Two on the same data would run two beats and two workers on one broker of files.
    """
    LOCK_FILE.touch(mode=0o600)
    with LOCK_FILE.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            say(f"make up already runs on the data in {settings.DATA_DIR}:\n{lock.read()}")
            sys.exit(1)
        lock.truncate(0)
        yield lock


class Announcer:
    """Prints the banner as soon as all processes work, so that it is not lost in their logs."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.started_at = datetime.now(UTC)

    def announce(self) -> bool:
        """Print the banner and return True if the processes work, or if they take too long."""
        is_late = datetime.now(UTC) - self.started_at > READY_TIMEOUT
        is_due = is_late or self.is_ready()
        if is_due:
            say(self.text)
        return is_due

    def is_ready(self) -> bool:
        """Return whether the API listens, and beat and a worker have a new heartbeat."""
        from scheduler_api.catalogue.models import Worker  # noqa: PLC0415 - after setup()
        from scheduler_api.scheduler.models import BeatHeartbeat  # noqa: PLC0415 - after setup()

        try:
            socket.create_connection((settings.HOST, settings.PORT), timeout=1).close()
            workers = Worker.objects.filter(started_at__gte=self.started_at)
            beats = BeatHeartbeat.objects.filter(ticked_at__gte=self.started_at)
            return workers.exists() and beats.exists()
        except (OSError, OperationalError):
            return False
        finally:
            connection.close()  # this process does not use the database otherwise


def say(text: str) -> None:
    """Print a text at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def with_this_python(command: Sequence[str]) -> list[str]:
    """Return a command for the Python that runs this program, whatever PATH says.

    Celery's banners would hide the addresses: it starts without them.
    """
    program, *arguments = command
    if program == "celery":
        arguments = ["--quiet", *arguments]
    return [sys.executable, *(arguments if program == "python" else ["-m", program, *arguments])]


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
        executor = MigrationExecutor(connection)
        if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
            say(f"Preparing the database: {len(plan)} migrations\n")
        call_command("migrate", interactive=False, verbosity=0)
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
