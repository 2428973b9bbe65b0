"""Fault tests: check the result of each slot when something breaks.

They follow Jepsen's test of Chronos. Real processes (beat, Celery workers) run on private servers
(PostgreSQL, RabbitMQ) on their own ports, where tests can kill, stop, block, freeze and disconnect
them. A checker reads the definitions, the ledger, and a file to which the worker only appends. It
judges each slot as right, lost, doubled, early or late, and finds runs that belong to no slot.

Each fault is applied to two arms at once: `ours`, and `stock`, the scheduler of
django-celery-beat. They share the servers and nothing else. No slot of ours may be lost or
doubled. The stock arm is the control: if the checker finds no failure of it, the checker is blind
or the fault has no effect.

| Module | Content |
|---|---|
| `servers.py`, `proxy.py` | private PostgreSQL and RabbitMQ, and a proxy for connections to them |
| `launch.py`, `clock.py`, `crash.py` | start of beat, a clock that can be stepped, crash points |
| `settings.py`, `tasks.py` | settings of these processes, and tasks that record their runs |
| `processes.py` | beat and workers as processes |
| `site.py`, `arm.py` | servers and a worker for the session; a database and beats for an arm |
| `definitions.py` | periodic tasks, inserted by SQL |
| `evidence.py`, `policies.py`, `checker.py` | the checker: pure, with its own tests |
| `attempts.py` | the checker for runs on killed workers |
| `trial.py`, `table.py` | one fault applied to both arms and judged; the table of `make faults` |
| `overlapping.py` | concurrent execution of the tests marked `calm` |
| `test_NN_….py` | the faults, in the order of the list in `docs/faults.md` |

`make test` runs a short form of each fault, `make faults` a long form. FAULT_SEEDS lists the
seeds; FAULT_SCALE multiplies the number of slots.
"""
