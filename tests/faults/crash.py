"""Crash points: calls at which a process kills or stops itself, chosen by an environment variable.

`FAULTS_CRASH` is `MODULE:NAME:before:3:KILL`: kill -9 immediately before the third call of this
function or method. `after` means immediately after the call. `STOP` pauses the process until it
receives SIGCONT.
"""

import functools
import importlib
import itertools
import os
import signal
from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]


def inject(crash_point: str) -> None:
    """Wrap the function that `crash_point` names, so that it sends the signal."""
    module, path, when, number, signal_name = crash_point.split(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    function = getattr(owner, name)
    signal_number = signal.Signals[f"SIG{signal_name}"]
    replacement = send_signal_at_call(function, when=when, number=int(number), by=signal_number)
    setattr(owner, name, replacement)


def send_signal_at_call(
    function: Function, *, when: str, number: int, by: signal.Signals
) -> Function:
    """Wrap a function to send a signal to this process at the given call number."""
    calls = itertools.count(1)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        is_chosen = next(calls) == number
        if is_chosen and when == "before":
            os.kill(os.getpid(), by)
        result = function(*args, **kwargs)
        if is_chosen and when == "after":
            os.kill(os.getpid(), by)
        return result

    return call
