"""Connections to SQLite, with private files."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any


class PrivateConnection(sqlite3.Connection):
    """Creates the file of the database before SQLite does, readable by this user alone.

    SQLite would create it with permissions for other users. The files -wal and -shm get the
    permissions of the database. This is the option `factory` of sqlite3.connect, and no database
    engine of our own: programs look for the name of Django's.
    """

    def __init__(self, database: str, *args: Any, **kwargs: Any) -> None:
        if not str(database).startswith(("file:", ":memory:")):
            # If the folder is missing, SQLite says so.
            with contextlib.suppress(OSError):
                Path(database).touch(mode=0o600, exist_ok=False)
        super().__init__(database, *args, **kwargs)
