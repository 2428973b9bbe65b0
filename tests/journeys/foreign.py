"""The Celery application of another service: without Django and without the scheduler.

`celery -A tests.journeys.foreign worker` is its worker. FOREIGN_BROKER has the settings of its
broker as JSON, and FOREIGN_DONE the file to which its task appends a line.
"""

import json
import os
from pathlib import Path

from celery import Celery

app = Celery("foreign", set_as_current=False)
app.conf.update(json.loads(os.environ["FOREIGN_BROKER"]), task_ignore_result=True)


@app.task(name="billing.charge")
def charge(number: int) -> None:
    with Path(os.environ["FOREIGN_DONE"]).open("a") as done:
        done.write(f"{number}\n")
