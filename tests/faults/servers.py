"""Private PostgreSQL and RabbitMQ servers, each in a temporary folder and on a free port.

Nothing here touches another server: only processes that were started here are ended.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.ports import free_port
from tests.services import connect_to_broker, connect_to_postgres

START_TIMEOUT_SECONDS = 180  # allows for a busy machine
# PostgreSQL does not run as root.
UNPRIVILEGED = ("postgres", "nobody")


class ServerNotInstalled(Exception):
    """The server is not installed on this machine."""


def find_program(name: str, *patterns: str) -> Path:
    """Return the newest matching program; raise ServerNotInstalled if there is none."""
    found = [path for pattern in patterns for path in Path("/").glob(pattern)]
    on_path = shutil.which(name)
    if found:
        return max(found, key=lambda path: [int(n) for n in path.parts if n.isdigit()])
    if on_path:
        return Path(on_path).resolve()
    raise ServerNotInstalled(
        f"{name} is not installed (looked in {', '.join(patterns)} and in PATH)"
    )


class Server:
    """A server process that a test may stop, kill or pause."""

    name: str
    connect: Callable[[str], None]

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"faults-{self.name}-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        raise NotImplementedError

    def spawn(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        self.process = self.spawn()
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self.answers():
            assert self.process.poll() is None, f"{self.name} ended: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"{self.name}: {self.log.read_text()}"
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            type(self).connect(self.url)
        except ConnectionError:
            return False
        return True

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the server with SIGKILL, like a crash."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> None:
        if self.process and self.is_alive():
            self.send(number)
            self.process.wait(timeout=START_TIMEOUT_SECONDS)

    def close(self) -> None:
        """Kill the server, in any state, and remove its folder."""
        if self.is_alive():
            self.send(signal.SIGCONT)
            self.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Server):
    """A PostgreSQL server with one user, `postgres`, without a password."""

    name = "postgres"
    connect = staticmethod(connect_to_postgres)

    def __init__(self) -> None:
        self.bin = find_program("initdb", "usr/lib/postgresql/*/bin/initdb").parent
        self.user = next(filter(is_user, UNPRIVILEGED)) if os.geteuid() == 0 else None
        super().__init__()
        if self.user:
            shutil.chown(self.folder, self.user)
        self.run(
            "initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8"
        )

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str, *, port: int | None = None) -> str:
        return f"postgres://postgres@127.0.0.1:{port or self.port}/{database}"

    def run(self, program: str, *arguments: str) -> None:
        command = [self.bin / program, *arguments]
        completed = subprocess.run(
            command, user=self.user, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert completed.returncode == 0, completed.stderr

    def spawn(self) -> subprocess.Popen[bytes]:
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # left by a killed server
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            # Tests kill processes but never the machine, so fsync is not needed.
            "fsync": "off",
            "max_connections": 200,
            "log_min_messages": "fatal",
        }
        flags = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self.bin / "postgres", "-D", self.data, *flags],
                user=self.user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop_immediately(self) -> None:
        """Stop the server without a checkpoint, and close all its connections."""
        self.end(signal.SIGQUIT)

    def close(self) -> None:
        self.stop_immediately()  # ends its child processes too
        super().close()


class RabbitMQ(Server):
    """A RabbitMQ node with its own Erlang port mapper (epmd)."""

    name = "rabbitmq"
    connect = staticmethod(connect_to_broker)

    def __init__(self) -> None:
        self.bin = find_program("rabbitmq-server", "usr/lib/rabbitmq/bin/rabbitmq-server").parent
        self.epmd = find_program(
            "epmd", "usr/lib/erlang/bin/epmd", "usr/lib/erlang/erts-*/bin/epmd"
        )
        super().__init__()
        self.epmd_port, self.distribution_port = free_port(), free_port()
        (self.folder / "enabled_plugins").write_text("[].")
        (self.folder / "rabbitmq.conf").write_text(
            "loopback_users = none\nvm_memory_high_watermark.relative = 0.4\n"
            "disk_free_limit.absolute = 1MB\nlog.console = true\nlog.file = false\n"
        )
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16).upper())
        cookie.chmod(0o400)
        self.name_server = subprocess.Popen(
            [self.epmd, "-port", str(self.epmd_port), "-address", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        return f"amqp://guest:guest@127.0.0.1:{port}//"

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"faults{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface "
            "{127,0,0,1}",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            # Makes the script replace itself with the server instead of staying its parent.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self.bin / "rabbitmq-server"],
                env=self.environ,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def control(self, *arguments: str) -> None:
        """Run a rabbitmqctl command on the node."""
        command = [self.bin / "rabbitmqctl", "-n", self.environ["RABBITMQ_NODENAME"], *arguments]
        completed = subprocess.run(
            command, env=self.environ, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert completed.returncode == 0, completed.stderr + completed.stdout

    def block(self) -> None:
        """Raise the memory alarm: the node accepts no message until `unblock`."""
        self.control("set_vm_memory_high_watermark", "absolute", "1MB")

    def unblock(self) -> None:
        self.control("set_vm_memory_high_watermark", "0.4")

    def stop(self) -> None:
        """Stop the node cleanly, with SIGTERM."""
        self.end(signal.SIGTERM)

    def close(self) -> None:
        super().close()
        self.name_server.kill()
        self.name_server.wait()


def is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
