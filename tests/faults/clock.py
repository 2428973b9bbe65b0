"""A clock of a child process that a test can step.

A file holds the number of seconds ahead of real time. The process reads it and shifts its wall
clock. Monotonic clocks are unaffected, as with a real clock step.
"""

import threading
import time
from pathlib import Path

import time_machine

POLL_SECONDS = 0.02


def follow(file: Path) -> None:
    """Shift the clock of this process by the seconds in the file, now and on each change."""
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
    """Write the seconds ahead to the file, atomically."""
    unfinished = file.with_suffix(".new")
    unfinished.write_text(str(ahead))
    unfinished.replace(file)
