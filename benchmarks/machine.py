"""CPU time and memory of processes on this machine, read from Linux's /proc."""

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
LISTENS = "0A"


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU seconds that processes have used, in steps of 10 ms."""
    return sum(map(cpu_seconds_of, pids))


def cpu_seconds_of(pid: int) -> float:
    with suppress(OSError):
        # Skip the process name: it is in brackets and may have spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, in MB of 10⁶ bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(kilobytes) * 1024 / 1e6


def listener(port: int) -> list[int]:
    """Return the process that listens on a port of this machine, if it can be determined."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(each.readlink()) in sockets for each in (process / "fd").iterdir()):
                return [int(process.name)]
    return []


def describe() -> str:
    """Return a description of the machine and the interpreter."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores, {python}"
