"""PostgreSQL stops, and refuses transactions that would succeed if retried."""

import uuid
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from psycopg.errors import SerializationFailure

from tests.faults import definitions
from tests.faults.arm import Arm
from tests.faults.overlapping import TrialFactory
from tests.faults.trial import SCALE, SECOND, scaled

# Raises serialization failures in a percentage of statements, as PostgreSQL does for serializable
# transactions: either at the statement or at the commit.
CREATE_REFUSE_FUNCTION = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < {percent} / 100.0 THEN
        RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END $$;
"""
REFUSE_AT_ONCE = (
    "CREATE TRIGGER refuse_{statement} BEFORE {statement} ON {table} EXECUTE FUNCTION refuse()"
)
REFUSE_AT_COMMIT = """
CREATE CONSTRAINT TRIGGER refuse_{statement} AFTER {statement} ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()
"""
REFUSED_STATEMENTS = [
    (REFUSE_AT_ONCE, "INSERT", "scheduler_api_run"),
    (REFUSE_AT_ONCE, "UPDATE", "scheduler_api_agenda"),
    (REFUSE_AT_ONCE, "UPDATE", "scheduler_api_run"),
    (REFUSE_AT_COMMIT, "INSERT", "scheduler_api_outbox"),
    (REFUSE_AT_COMMIT, "DELETE", "scheduler_api_outbox"),
]


def test_postgres_stopped_and_started_loses_no_slot(make_trial: TrialFactory) -> None:
    stopped = make_trial("07 PostgreSQL stopped immediately")
    stopped.start()
    stopped.define(count=scaled(20))
    stopped.run_for(4)
    with stopped.outage():
        stopped.site.postgres.stop_immediately()
        stopped.run_for(6 if SCALE <= 1 else 20)
        stopped.site.postgres.start()
    stopped.for_each_arm(edit_unrelated_task)
    stopped.run_for(4)
    with stopped.outage():
        stopped.site.postgres.stop_immediately()
        # A beat that starts during the outage must wait as well.
        stopped.for_each_arm(lambda arm: arm.beat.kill())
        stopped.for_each_arm(lambda arm: arm.beat.start())
        stopped.run_for(4)
        stopped.site.postgres.start()
        ours_is_alive = all(arm.beat.is_alive() for arm in stopped.arms if arm.name == "ours")
        stopped.restart()
    # Beat may take 15 seconds after an outage: it tries again after 1, 2, 4 and 8 seconds.
    stopped.run_for(16)

    stopped.judge()
    assert ours_is_alive


@pytest.mark.calm
def test_refused_transactions_lose_no_slot(make_trial: TrialFactory) -> None:
    refused = make_trial("07 serialization failures")
    refused.start()
    refused.define(count=scaled(60), interval=3 * SECOND)
    refused.run_for(4)
    with refused.outage():
        refused.for_each_arm(lambda arm: refuse_transactions(arm, percent=10))
        for _ in range(8):
            refused.run_for(1.3)
            refused.for_each_arm(edit_unrelated_task)
    refused.run_for(1)

    refused.judge()


def refuse_transactions(arm: Arm, *, percent: int) -> None:
    """Make the database refuse a percentage of beat's statements on its tables."""
    tables = (
        REFUSED_STATEMENTS
        if arm.name == "ours"
        else [(REFUSE_AT_ONCE, "UPDATE", definitions.TASKS)]
    )
    with arm.connect() as connection:
        connection.execute(CREATE_REFUSE_FUNCTION.format(percent=percent))
        for template, statement, table in tables:
            connection.execute(template.format(statement=statement, table=table))


def edit_unrelated_task(arm: Arm) -> None:
    """Insert a disabled task and mark the tasks as changed; retry serialization failures."""
    with arm.connect() as connection:
        for _ in range(20):
            with suppress(SerializationFailure), connection.transaction():
                definitions.insert_task(
                    connection, str(uuid.uuid4()), changed_at=datetime.now(UTC), enabled=False
                )
                definitions.mark_changed(connection)
                return
    pytest.fail("The database refused the edit 20 times.")
