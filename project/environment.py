"""Read and check the environment variables: the one module that reads `os.environ`."""

import contextlib
import os
import re
import secrets
import stat
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, NoReturn, TypeAlias
from urllib.parse import unquote, urlsplit

import environ
from django.core.checks.security.base import (
    SECRET_KEY_INSECURE_PREFIX,
    SECRET_KEY_MIN_LENGTH,
    SECRET_KEY_MIN_UNIQUE_CHARACTERS,
)

from project.embedded.sqlite import PrivateConnection

env = environ.Env()

Network: TypeAlias = IPv4Network | IPv6Network

# The files of this service in DATA_DIR, beside those of the embedded broker.
OWN_FILES = ("db.sqlite3*", "*.key", "up.lock")
OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
GUEST = ("guest", "guest")
PRIVATE = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
]


class BadSetting(SystemExit):
    """A setting has a value that cannot work.

    It is a SystemExit, so that manage.py, celery and gunicorn end with one sentence. Django's
    ImproperlyConfigured would print a traceback.
    """


def refuse(name: str, reason: str, fix: str) -> NoReturn:
    """Stop the start with the reason why the variable `name` is wrong, and its fix."""
    raise BadSetting(f"{name} {reason}: {fix}.")


def whole_number(name: str, *, default: int, at_least: int, at_most: int) -> int:
    """Read a whole number between two bounds, both included."""
    text = os.environ.get(name, "").strip() or str(default)
    if not text.isascii() or not text.isdigit() or not at_least <= int(text) <= at_most:
        refuse(name, f"is {text!r}", f"set it to a whole number from {at_least} to {at_most}")
    return int(text)


def flag(name: str, *, default: bool) -> bool:
    """Read a boolean."""
    text = os.environ.get(name, "").strip().lower() or str(default).lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    refuse(name, f"is {text!r}", "set it to true or false")


def words(name: str, *, default: list[str]) -> list[str]:
    """Read a comma-separated list."""
    text = os.environ.get(name, "").strip()
    return [word.strip() for word in text.split(",") if word.strip()] if text else default


def choice(name: str, *, default: str, among: list[str]) -> str:
    """Read one of several words, in upper case."""
    text = os.environ.get(name, "").strip().upper() or default
    if text not in among:
        refuse(name, f"is {text!r}", f"set it to one of {', '.join(among)}")
    return text


def log_level() -> str:
    """Return the lowest level that is logged."""
    levels = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
    return choice("LOG_LEVEL", default="INFO", among=levels)


def log_format() -> str:
    """Return the format of a log line: `text` for people or `json` for programs."""
    return choice("LOG_FORMAT", default="TEXT", among=["TEXT", "JSON"]).lower()


def unregistered_tasks() -> str:
    """Return whether to `refuse` or `allow` a task that neither this process nor a worker has."""
    return choice("UNREGISTERED_TASKS", default="REFUSE", among=["REFUSE", "ALLOW"]).lower()


def private_addresses() -> list[Network]:
    """Return the private networks that outgoing requests may reach.

    `allow` stands for the networks in PRIVATE, which leave out the link-local addresses: a cloud
    serves its metadata there.
    """
    texts = words("OUTGOING_PRIVATE_ADDRESSES", default=["refuse"])
    if [text.lower() for text in texts] in (["refuse"], ["allow"]):
        return [ip_network(text) for text in PRIVATE if texts[0].lower() == "allow"]
    try:
        return [ip_network(text) for text in texts]
    except ValueError as error:
        refuse("OUTGOING_PRIVATE_ADDRESSES", f"has an entry that is not a network ({error})",
               "set it to refuse, to allow, or to networks such as 10.1.0.0/16")  # fmt: skip


def request_hosts() -> list[str]:
    """Return the hosts that the task http_request may call: names, or `*.` and a domain."""
    hosts = [host.lower() for host in words("HTTP_REQUEST_HOSTS", default=[])]
    for host in hosts:
        if not re.fullmatch(r"(\*\.)?[a-z0-9._-]+|[0-9a-f:]+", host):
            refuse("HTTP_REQUEST_HOSTS", f"has {host!r}",
                   "name hosts without scheme and port, such as api.example.com or "
                   "*.example.com")  # fmt: skip
    return hosts


def allowed_hosts(*, may_be_any: bool) -> list[str]:
    """Return the host names that callers of the API may use."""
    hosts = words("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
    if "*" in hosts and not may_be_any:
        refuse("ALLOWED_HOSTS", "is '*', which lets a caller choose the host in our links",
               "name the hosts under which callers reach the API")  # fmt: skip
    return hosts


def data_dir(default: Path) -> Path:
    """Return the directory for the files of the embedded broker and database, and for keys."""
    path = Path(os.environ.get("DATA_DIR", "").strip() or default).expanduser().absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        refuse("DATA_DIR", f"is {str(path)!r}, which cannot be made ({error.strerror})",
               "name a directory that this user may write to")  # fmt: skip
    keep_private(path)
    return path


def keep_private(folder: Path) -> None:
    """Take all permissions on the files in `DATA_DIR` from other users, files of before included.

    Only files of this service are changed: the folder may have others. A folder that another user
    owns, such as a mounted volume, or that all users share, such as /tmp, stays as it is.
    """
    broker_folder = folder / "broker"
    files = [path for name in OWN_FILES for path in folder.glob(name)]
    if broker_folder.exists() and broker_folder.stat().st_mode & OF_OTHERS:
        files += [*broker_folder.rglob("*"), broker_folder]
    for path in [*files, folder]:
        with contextlib.suppress(FileNotFoundError):  # a worker has just taken the message
            status = path.lstat()
            is_ours = status.st_uid == os.geteuid() and not status.st_mode & stat.S_ISVTX
            if is_ours and status.st_mode & OF_OTHERS and not path.is_symlink():
                path.chmod(0o700 if path.is_dir() else 0o600)


def is_embedded_database() -> bool:
    """Return whether `DATABASE_URL` leaves the database to us: one in `DATA_DIR`."""
    return not os.environ.get("DATABASE_URL", "").strip()


def database(default: Path) -> dict[str, Any]:
    """Return Django's settings of the database, from `DATABASE_URL`."""
    url = os.environ.get("DATABASE_URL", "").strip() or f"sqlite:///{default}"
    scheme = scheme_of("DATABASE_URL", url)
    if scheme in {"postgres", "postgresql"}:
        return {
            **environ.Env.db_url_config(url),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            # Without these, an address that drops packets would hang each process: for minutes
            # when it connects, for hours when it waits for an answer.
            "OPTIONS": {
                "connect_timeout": 5,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 25_000,
            },
        }
    if scheme == "sqlite":
        return {
            **environ.Env.db_url_config(url),
            "OPTIONS": {
                "factory": PrivateConnection,
                # A transaction that begins with a read fails at its first write if another one
                # has written meanwhile. IMMEDIATE makes it wait at its start instead.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    refuse("DATABASE_URL", f"has the scheme {scheme!r}",
           "use postgres://USER:PASSWORD@HOST:5432/NAME or sqlite:////PATH")  # fmt: skip


# With a host, though it has none: kombu warns of a URL without.
FILES = "filesystem://localhost//"


def broker(folder: Path) -> tuple[str, dict[str, str | float]]:
    """Return the URL of the broker, from `BROKER_URL`, and the options of its transport."""
    url = os.environ.get("BROKER_URL", "").strip() or FILES
    # kombu fails over from one URL to the next.
    urls = url.split(";")
    scheme, *_ = [scheme_of("BROKER_URL", each) for each in urls]
    if scheme not in {"amqp", "amqps", "pyamqp", "redis", "rediss", "filesystem"}:
        refuse("BROKER_URL", f"has the scheme {scheme!r}",
               "use amqp://USER:PASSWORD@HOST:5672/VHOST, or leave it out for files")  # fmt: skip
    if scheme != "filesystem":
        for each in urls:
            refuse_guest(each)
        return url, {}
    messages, processed, exchanges = (
        folder / name for name in ("messages", "processed", "exchanges")
    )
    for path in (folder, messages, processed, exchanges):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return url, {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        # A worker takes a message by moving its file here: a rename within one file system.
        "processed_folder": str(processed),
        "control_folder": str(exchanges),
        "polling_interval": 0.1,
    }


def scheme_of(name: str, url: str) -> str:
    """Return the scheme of the URL in the variable `name`, or stop the start if it is malformed.

    The message does not repeat the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        is_readable = "://" in url and parts.port != 0 and not re.search(r"\s", parts.netloc)
    except ValueError:
        is_readable = False
    if not is_readable:
        refuse(name, "is not a URL that can be read",
               "use SCHEME://USER:PASSWORD@HOST:PORT/NAME, and in the password %2F for a slash, "
               "%23 for #, %3F for ?, %20 for a space")  # fmt: skip
    return parts.scheme


def refuse_guest(url: str) -> None:
    """Stop the start if RabbitMQ's default user would connect to another machine."""
    broker = urlsplit(url)
    user, password = unquote(broker.username or "guest"), unquote(broker.password or "guest")
    is_default = "amqp" in broker.scheme and (user, password) == GUEST
    if is_default and not is_loopback(broker.hostname or "localhost"):
        refuse("BROKER_URL", f"uses guest, whose password is public, at {broker.hostname}",
               "make a user of your own: rabbitmqctl add_user NAME PASSWORD")  # fmt: skip


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secret_key(file: Path, *, may_be_weak: bool) -> str:
    """Return `SECRET_KEY`; if it is not set, generate one and store it in `file`."""
    if key := os.environ.get("SECRET_KEY", "").strip():
        is_weak = (
            len(key) < SECRET_KEY_MIN_LENGTH
            or len(set(key)) < SECRET_KEY_MIN_UNIQUE_CHARACTERS
            or key.startswith(SECRET_KEY_INSECURE_PREFIX)
        )
        if is_weak and not may_be_weak:
            refuse("SECRET_KEY", "can be guessed",
                   "set it to 50 random characters or more: openssl rand -hex 32")  # fmt: skip
        return key
    try:
        if not file.exists():
            keep_once(file, secrets.token_urlsafe(50))
        return file.read_text()
    except OSError as error:
        refuse("SECRET_KEY", f"is not set and cannot be kept in {file} ({error.strerror})",
               "set it to 50 random characters or more")  # fmt: skip


def earlier_secret_keys() -> list[str]:
    """Return the earlier values of `SECRET_KEY` whose signatures remain valid."""
    return words("SECRET_KEY_FALLBACKS", default=[])


def keep_once(file: Path, text: str) -> None:
    """Write a file that only this user can read, unless another process has just written it.

    The file appears complete, so that two processes that start together read the same text.
    """
    unfinished = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
    with contextlib.suppress(FileExistsError):
        os.link(unfinished, file)
    unfinished.unlink()
