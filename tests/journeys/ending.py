"""Tasks that end in each way that Celery knows."""

from pathlib import Path
from typing import Any, NoReturn

from celery import chain, chord, group, shared_task
from celery.exceptions import Ignore, Reject, WorkerShutdown
from django.conf import settings


@shared_task
def add(x: int, y: int) -> int:
    """Add two numbers."""
    return x + y


@shared_task
def total(numbers: list[int]) -> int:
    """Add numbers."""
    return sum(numbers)


@shared_task
def fail(*_: Any) -> NoReturn:
    """Fail."""
    raise ValueError("as asked")


@shared_task
def half_a_surrogate() -> str:
    """Return a text that UTF-8 cannot carry."""
    return "\ud800"


class Unpicklable(Exception):
    """An exception that stays in its process."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("it stays here")


class Mute(Exception):
    """An exception without a text."""

    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")

    __repr__ = __str__


@shared_task
def raise_unpicklable() -> NoReturn:
    """Raise an exception that cannot be pickled."""
    raise Unpicklable("stays")


@shared_task
def raise_mute() -> NoReturn:
    """Raise an exception whose text cannot be read."""
    raise Mute


@shared_task
def run_out_of_memory() -> NoReturn:
    """Raise what Python raises without memory."""
    raise MemoryError


@shared_task
def exit_process() -> NoReturn:
    """Leave as a script does."""
    raise SystemExit(3)


@shared_task
def interrupt() -> NoReturn:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


@shared_task
def shut_down() -> NoReturn:
    """Raise what ends a worker."""
    raise WorkerShutdown


@shared_task
def ignore() -> NoReturn:
    """Raise Ignore."""
    raise Ignore


@shared_task(acks_late=True)
def reject() -> NoReturn:
    """Raise Reject for a message that is not needed any more."""
    raise Reject("never mind", requeue=False)


@shared_task
def reject_too_late() -> NoReturn:
    """Raise Reject for a message that is acknowledged already."""
    raise Reject("busy", requeue=True)


@shared_task(bind=True, acks_late=True)
def put_back(task: Any) -> str:
    """Put the message back, once."""
    mark = Path(settings.DATA_DIR) / f"put-back-{task.request.id}"
    if not mark.exists():  # not every broker says that it delivers a message again
        mark.touch()
        raise Reject("busy", requeue=True)
    return "done"


@shared_task(bind=True)
def retry_at_once(task: Any) -> int:
    """Ask for three retries without a pause."""
    if task.request.retries < 3:
        raise task.retry(countdown=0)
    return int(task.request.retries)


@shared_task(bind=True, max_retries=1)
def retry_in_vain(task: Any) -> NoReturn:
    """Ask for more retries than it may have."""
    raise task.retry(countdown=0)


@shared_task(autoretry_for=(ValueError,), max_retries=1, default_retry_delay=0, retry_jitter=False)
def fail_again() -> NoReturn:
    """Fail in each attempt."""
    raise ValueError("again")


@shared_task(bind=True, ignore_result=False)
def pass_on(task: Any, to: str) -> Any:
    """Hand the work on."""
    return task.replace(REPLACEMENTS[to]())


REPLACEMENTS = {
    "task": lambda: add.s(1, 2),
    "failing task": fail.s,
    "chain": lambda: chain(add.s(1, 2), add.s(3)),
    "failing chain": lambda: chain(add.s(1, 2), fail.s(), add.s(3)),
    "group": lambda: group(add.s(1, 2), add.s(3, 4)),
    "failing group": lambda: group(add.s(1, 2), fail.s()),
    "chord": lambda: chord([add.s(1, 2), add.s(3, 4)], total.s()),
    "failing chord": lambda: chord([add.s(1, 2), add.s(3, 4)], fail.s()),
    "nested": lambda: chain(pass_on.s("chain"), add.s(1)),
}


@shared_task(bind=True)
def extend_its_chain(task: Any) -> str:
    """Let another task follow, which is not part of the run."""
    task.request.chain = [fail.s()]
    return "its own"
