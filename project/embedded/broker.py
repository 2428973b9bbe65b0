"""The broker without a server: kombu's filesystem transport, with two changes.

Messages are written atomically, and a returned message is left to other programs at first.
"""

import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

# Twice as long as kombu waits by default before it looks again.
RETURN_DELAY_NS = 2 * 10**9

WAIT_SECONDS = 0.2


class Channel(filesystem.Channel):
    """Writes a message into its folder atomically, and reads no returned message at once.

    kombu.transport.filesystem.Channel._put opens the file under its final name and then writes:
    a worker that reads in between takes an empty or incomplete message, loses it, and exits.

    There is no turn among the readers of a folder, and ours look more often than others. A message
    that one of them returns would always come back to it: so it is dated later, and ours read no
    message before its date.
    """

    _dated_later_ns = 0

    def _restore(self, message: Any) -> None:
        self._dated_later_ns = RETURN_DELAY_NS
        try:
            super()._restore(message)
        finally:
            self._dated_later_ns = 0

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        folder, now = Path(self.data_folder_in), time.time_ns()
        for name in sorted(path.name for path in folder.iterdir()):
            date, _, suffix = name.partition(".")
            if suffix != f"{queue}.msg" or int(date.partition("_")[0]) > now:
                continue
            taken = folder / f"{name}.taken"
            try:
                (folder / name).rename(taken)
            except OSError:  # another reader has taken it
                continue
            payload = loads(taken.read_text())
            taken.unlink()
            return payload
        raise Empty

    # Upstream's two stubs of this method contradict each other.
    def _put(  # type: ignore[override]
        self, queue: str, payload: dict[str, Any], **kwargs: Any
    ) -> None:
        # Readers take only files with this suffix, in the order of their names.
        name = f"{time.time_ns() + self._dated_later_ns}_{uuid.uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        unfinished = folder / f"{name}.new"
        unfinished.touch(mode=0o600)
        unfinished.write_text(dumps(payload))
        unfinished.rename(folder / name)

    def _queue_bind(self, exchange: Any, *binding: Any) -> None:
        """Store a binding in a file for this user alone."""
        super()._queue_bind(exchange, *binding)
        file: Path = self._exchange_file(exchange)  # type: ignore[attr-defined]  # not in the stubs
        file.chmod(0o600)


class Transport(filesystem.Transport):
    """The filesystem transport with this channel, and with short waits."""

    Channel = Channel

    def drain_events(  # type: ignore[override]  # as upstream
        self, connection: Any, timeout: float | None = None
    ) -> None:
        """Wait for a message, at most WAIT_SECONDS: Celery's loop then looks for a stop.

        It asks for two seconds, which each Ctrl-C would take.
        """
        short = None if timeout is None else min(timeout, WAIT_SECONDS)
        super().drain_events(connection, timeout=short)
