"""Faults: what becomes of each slot when something breaks.

In the manner of Jepsen's Chronos test. Real processes (beat, a Celery worker) run on private
servers (PostgreSQL, RabbitMQ) on ports of their own, where they can be killed, stopped, blocked,
frozen and cut off. From the definitions, the ledger and the file of effects that the worker only
appends to, a checker then says of each slot whether it is right, lost, doubled, early or late, and
what ran that is of no slot.

Each fault is done to two arms at once, which share the servers and nothing else: `ours`, and
`stock`, the scheduler of django-celery-beat. No slot of ours may be lost or doubled. The stock arm
is the control: it must be found failing, or else the checker is blind, or the fault none.

| | |
|---|---|
| `servers.py`, `proxy.py` | PostgreSQL and RabbitMQ of our own, and the link to them |
| `launch.py`, `clock.py`, `crash.py` | beat, with a clock that can step, and places to die at |
| `settings.py`, `tasks.py` | the settings of these processes, and the tasks that leave an effect |
| `processes.py` | beat and worker as processes |
| `site.py`, `arm.py` | servers and a worker for the session; a database and beats for an arm |
| `definitions.py` | what is to run: written to the database by SQL |
| `evidence.py`, `policies.py`, `checker.py` | the judgement, pure, with tests of its own |
| `attempts.py` | that of the runs of workers that are killed |
| `outcome.py` | both arms of a fault, judged, and the table of `make faults` |
| `test_NN_….py` | the faults, in the order of the list in `docs/faults.md` |

`make test` does a short form of each; `make faults` does more of it: FAULT_SEEDS names the seeds,
FAULT_SCALE multiplies the number of slots.
"""
