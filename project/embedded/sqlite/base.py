"""Django's database backend of SQLite, with private files."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Creates the file of the database before SQLite does, readable by this user alone.

    Upstream, DatabaseWrapper.get_new_connection lets SQLite create it, with permissions for other
    users. The files -wal and -shm get the permissions of the database.
    """

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        """Create the file unless it exists or the database is in memory."""
        name = str(conn_params["database"])
        if not self.is_in_memory_db() and not name.startswith("file:"):
            # If the folder is missing, SQLite says so.
            with contextlib.suppress(OSError):
                Path(name).touch(mode=0o600, exist_ok=False)
        connection: sqlite3.Connection = super().get_new_connection(conn_params)
        return connection
