"""Eight writers concurrently edit tasks that beat is about to send, and other tasks."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.faults import definitions
from tests.faults.arm import Arm
from tests.faults.overlapping import TrialFactory
from tests.faults.trial import scaled

pytestmark = pytest.mark.calm

WRITERS = 8
PAUSE_SECONDS = 0.03
TASKS = definitions.TASKS

SET_NOTE = f"""UPDATE {TASKS} SET kwargs = json_build_object('note', %(number)s::text)::text,
    date_changed = clock_timestamp() WHERE name = %(name)s"""
# Edits of judged tasks; none changes the due times.
HARMLESS_EDITS = [
    SET_NOTE,
    SET_NOTE,
    f"UPDATE {TASKS} SET description = %(number)s::text WHERE name = %(name)s",
    f"UPDATE {TASKS} SET priority = %(number)s %% 5 WHERE name = %(name)s",
]
# Edits of decoys: tasks that are not judged.
DECOY_ID = f"(SELECT id FROM {TASKS} WHERE name = %(decoy)s)"
DECOY_INTERVAL_ID = f"(SELECT interval_id FROM {TASKS} WHERE name = %(decoy)s)"
INTERVAL_TABLE = "django_celery_beat_intervalschedule"
DECOY_EDITS = [
    f"UPDATE {TASKS} SET enabled = NOT enabled WHERE name = %(decoy)s",
    f"UPDATE {INTERVAL_TABLE} SET every = 1 + %(number)s %% 5 WHERE id IN {DECOY_INTERVAL_ID}",
    f"DELETE FROM {TASKS} WHERE id IN {DECOY_ID}",
]

# For each task name: the commit time and the number of each note.
Notes = dict[str, list[tuple[datetime, int]]]


def test_eight_concurrent_writers_lose_no_slot_and_no_edit(
    make_trial: TrialFactory, seed: int
) -> None:
    edited = make_trial("10 eight writers")
    edited.start()
    edited.define(count=scaled(40))
    edited.run_for(2)
    notes: dict[str, Notes] = {}
    with concurrent_writers(edited.arms, seed, notes):
        edited.run_for(scaled(9))

    edited.judge()
    for arm in edited.arms:
        if arm.name == "ours":
            assert stale_notes(arm, notes["ours"]) == []


@contextmanager
def concurrent_writers(arms: Sequence[Arm], seed: int, notes: dict[str, Notes]) -> Iterator[None]:
    """Run eight writers on each arm during the block."""
    is_finished = threading.Event()
    threads = []
    for arm in arms:
        notes[arm.name] = defaultdict(list)
        names = [each.name for each in arm.definitions]
        for number in range(WRITERS):
            # Each task has one writer: the notes of two writers could be recorded out of order.
            own_names = names[number::WRITERS]
            rng = random.Random(f"{seed} {number}")
            arguments = [arm, number, own_names, rng, notes[arm.name], is_finished]
            threads.append(threading.Thread(target=write, args=arguments))
    for thread in threads:
        thread.start()
    yield
    is_finished.set()
    for thread in threads:
        thread.join()


def write(  # noqa: PLR0917 - arguments of a thread
    arm: Arm,
    writer: int,
    names: Sequence[str],
    rng: random.Random,
    notes: Notes,
    is_finished: threading.Event,
) -> None:
    number = 0
    with psycopg.connect(arm.url, autocommit=True) as connection:
        while not is_finished.is_set():
            number += 1
            name, decoy = rng.choice(names), f"decoy-{writer}-{rng.randrange(5)}"
            statement = rng.choice(HARMLESS_EDITS + DECOY_EDITS)
            with connection.transaction():
                add_decoy(connection, decoy)
                connection.execute(statement, {"name": name, "decoy": decoy, "number": number})
            with connection.transaction():
                definitions.mark_changed(connection)
            if statement is SET_NOTE:
                notes[name].append((datetime.now(UTC), number))
            time.sleep(PAUSE_SECONDS)


def add_decoy(connection: psycopg.Connection, name: str) -> None:
    """Insert the decoy if it does not exist."""
    if connection.execute(f"SELECT 1 FROM {TASKS} WHERE name = %s", [name]).fetchone():
        return
    interval = definitions.insert_interval(connection, timedelta(seconds=1))
    definitions.insert_task(connection, name, changed_at=datetime.now(UTC), interval_id=interval)


def stale_notes(arm: Arm, notes: Notes) -> list[str]:
    """Return the runs claimed after an edit that do not contain the edit."""
    claimed = {row.id: row.created_at for row in arm.rows()}
    stale = []
    for effect in arm.effects():
        known = [n for at, n in notes[effect.name] if at < claimed[effect.id]]
        if known and int(effect.note or 0) < known[-1]:
            stale.append(f"{effect.name}: {effect.note} after {known[-1]}")
    return stale
