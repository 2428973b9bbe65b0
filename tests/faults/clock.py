"""A clock that a test can step, in a process of its own.

The process is told by a file how many seconds to be ahead; all that reads its clock is, too. What
measures a time span goes on undisturbed, as with a real step of the clock.
"""

import threading
import time
from pathlib import Path

import time_machine

POLL_SECONDS = 0.02


def follow(file: Path) -> None:
    """Set the clock of this process as the file says, now and whenever it changes."""
    ahead = read(file)
    traveller = time_machine.travel(time.time() + ahead, tick=True).start()

    def poll() -> None:
        nonlocal ahead
        while True:
            if (new := read(file)) != ahead:
                traveller.shift(new - ahead)
                ahead = new
            time.sleep(POLL_SECONDS)

    threading.Thread(target=poll, daemon=True).start()


def read(file: Path) -> float:
    return float(file.read_text() or 0)


def step(file: Path, ahead: float) -> None:
    """Have the processes that follow the file be so many seconds ahead; it changes whole."""
    unfinished = file.with_suffix(".new")
    unfinished.write_text(str(ahead))
    unfinished.replace(file)
