"""The environment, read once and checked: the only place that knows `os.environ`."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any, NoReturn

import environ

env = environ.Env()


class BadSetting(SystemExit):
    """A setting that cannot work.

    A SystemExit, so that each way to start (manage.py, celery, gunicorn) ends with the
    sentence alone; Django's ImproperlyConfigured would bury it in a traceback.
    """


def refuse(name: str, reason: str, mend: str) -> NoReturn:
    """Stop the start: what is wrong with the variable `name`, and how to mend it."""
    raise BadSetting(f"{name} {reason}: {mend}.")


def whole_number(name: str, *, default: int, at_least: int, at_most: int) -> int:
    """Read a whole number between two bounds, both included."""
    text = os.environ.get(name, "").strip() or str(default)
    if not text.isascii() or not text.isdigit() or not at_least <= int(text) <= at_most:
        refuse(name, f"is {text!r}", f"set it to a whole number from {at_least} to {at_most}")
    return int(text)


def flag(name: str, *, default: bool) -> bool:
    """Read a yes or no."""
    text = os.environ.get(name, "").strip().lower() or str(default).lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    refuse(name, f"is {text!r}", "set it to true or false")


def words(name: str, *, default: list[str]) -> list[str]:
    """Read a list, separated by commas."""
    text = os.environ.get(name, "").strip()
    return [word.strip() for word in text.split(",") if word.strip()] if text else default


def choice(name: str, *, default: str, among: list[str]) -> str:
    """Read one of several words, in upper case."""
    text = os.environ.get(name, "").strip().upper() or default
    if text not in among:
        refuse(name, f"is {text!r}", f"set it to one of {', '.join(among)}")
    return text


def data_dir(default: Path) -> Path:
    """Return the directory of everything that the embedded default keeps on disk."""
    path = Path(os.environ.get("DATA_DIR", "").strip() or default).expanduser().absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        refuse("DATA_DIR", f"is {str(path)!r}, which cannot be made ({error.strerror})",
               "name a directory that this user may write to")  # fmt: skip
    return path


def database(default: Path) -> dict[str, Any]:
    """Return Django's settings of the one database, from `DATABASE_URL`."""
    url = os.environ.get("DATABASE_URL", "").strip() or f"sqlite:///{default}"
    scheme = url.partition("://")[0]
    if scheme in {"postgres", "postgresql"}:
        return {
            **environ.Env.db_url_config(url),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            # Without one, an address that drops packets would hang each process for minutes.
            "OPTIONS": {"connect_timeout": 5},
        }
    if scheme == "sqlite":
        return {
            **environ.Env.db_url_config(url),
            "OPTIONS": {
                # A transaction that begins as a reader cannot become a writer once another
                # has written: IMMEDIATE makes it wait at the start, where waiting works.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    refuse("DATABASE_URL", f"has the scheme {scheme!r}",
           "use postgres://USER:PASSWORD@HOST:5432/NAME or sqlite:////PATH")  # fmt: skip


def broker(folder: Path) -> dict[str, Any]:
    """Return Celery's settings of the message broker, from `BROKER_URL`."""
    url = os.environ.get("BROKER_URL", "").strip() or "filesystem://"
    scheme = url.partition("://")[0]
    if scheme not in {"amqp", "amqps", "pyamqp", "redis", "rediss", "filesystem"}:
        refuse("BROKER_URL", f"has the scheme {scheme!r}",
               "use amqp://USER:PASSWORD@HOST:5672/VHOST, or leave it out for files")  # fmt: skip
    if scheme != "filesystem":
        return {"CELERY_BROKER_URL": url}
    messages, processed = folder / "messages", folder / "processed"
    for path in (messages, processed):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "CELERY_BROKER_URL": url,
        "CELERY_BROKER_TRANSPORT_OPTIONS": {
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            # A message is taken by moving its file here: a rename, on the same file system.
            "processed_folder": str(processed),
            "control_folder": str(folder / "exchanges"),
            "polling_interval": 0.1,
        },
    }


def secret_key(file: Path) -> str:
    """Return `SECRET_KEY`; without one, make a random one and keep it in `file`."""
    if key := os.environ.get("SECRET_KEY", "").strip():
        return key
    try:
        if not file.exists():
            keep_once(file, secrets.token_urlsafe(50))
        return file.read_text()
    except OSError as error:
        refuse("SECRET_KEY", f"is not set and cannot be kept in {file} ({error.strerror})",
               "set it to 50 random characters or more")  # fmt: skip


def keep_once(file: Path, text: str) -> None:
    """Write a file that only this user can read, unless another process has just done so.

    It appears whole: two processes that start together agree on what it says.
    """
    unfinished = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
    with contextlib.suppress(FileExistsError):
        os.link(unfinished, file)
    unfinished.unlink()
