"""Tasks that outlast their time limits or kill their process."""

import os
import signal
import time

from celery import shared_task


@shared_task(soft_time_limit=1, time_limit=600)
def outlast_its_soft_limit() -> None:
    """Sleep for longer than its soft time limit."""
    time.sleep(600)


@shared_task(time_limit=1)
def outlast_its_hard_limit() -> None:
    """Sleep for longer than its hard time limit."""
    time.sleep(600)


@shared_task(acks_late=True)
def sleep_and_acknowledge(seconds: float) -> None:
    """Sleep, and acknowledge the message afterwards."""
    time.sleep(seconds)


@shared_task
def kill_its_process() -> None:
    """End the process that runs it, as a fault in C code does."""
    os.kill(os.getpid(), signal.SIGKILL)
