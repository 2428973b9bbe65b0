"""Places for a process to die at, or to stand still, named from outside.

`FAULTS_CRASH` is `MODULE:NAME:before:3:KILL`: kill -9 right before the third call of this function
or method. `after` is right after it; `STOP` stops the process, until somebody lets it go on.
"""

import functools
import importlib
import itertools
import os
import signal
from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]


def arm(place: str) -> None:
    """Replace the function by one that does as `place` says."""
    module, path, when, number, name_of_signal = place.split(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    function = getattr(owner, name)
    number_of_signal = signal.Signals[f"SIG{name_of_signal}"]
    armed = ending(function, when=when, number=int(number), by=number_of_signal)
    setattr(owner, name, armed)


def ending(function: Function, *, when: str, number: int, by: signal.Signals) -> Function:
    """Return a function that does the same, and at the call of this number sends a signal."""
    calls = itertools.count(1)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        is_last = next(calls) == number
        if is_last and when == "before":
            os.kill(os.getpid(), by)
        answer = function(*args, **kwargs)
        if is_last and when == "after":
            os.kill(os.getpid(), by)
        return answer

    return call
