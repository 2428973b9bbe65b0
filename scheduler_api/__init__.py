"""Periodic tasks over HTTP. This is the tour of the code, process by process.

In the API process, `POST /api/v1/periodic-tasks/`:

1. `http.middleware` assigns a request id and adds the final slash of the path; `urls` finds the
   view set.
2. `access.authentication` finds the account of the key, `access.throttling` counts the request,
   and `access.permissions` checks the scope. `http.viewsets` refuses undeclared query parameters,
   `http.idempotency` replays the answer to a repeated request, and `http.parsing` reads the body.
3. `periodic_tasks.serializers` reads the fields, each of one JSON type (`http.fields`). An inline
   schedule goes to `schedules.inline` and on to the serializer of its kind, which builds a row of
   django-celery-beat (`schedules.tables`) and checks that it has a next slot (`schedules.slots`).
4. `periodic_tasks.validation` checks the fields together: the task exists, the arguments fit its
   signature (`catalogue`), and the schedule has a slot to come (`periodic_tasks.slots`).
5. `periodic_tasks.actions` stores it in one transaction, on a schedule row that equal schedules
   share, and `access.audit` adds an entry. A database trigger marks the row of the agenda
   (`periodic_tasks.agenda`) as stale in the same transaction.
6. The serializer renders the stored row and redacts its secrets. A refusal on the way is an
   exception (`http.problems`) that `http.handlers` renders.

In beat (`scheduler.engine`; `scheduler_api.beat:DatabaseScheduler` is its public name):

7. `scheduler.planning` computes the next slot of stale rows, by `periodic_tasks.slots`.
8. `scheduler.claiming` locks due rows. `scheduler.due_slots` and `scheduler.policy` decide, and
   `scheduler.store` writes the runs (`runs.models`) and the next slots in one commit.
9. `broker.publisher` publishes the runs, as messages made from Celery's own
   (`broker.message_templates`), and records the broker's confirms in the ledger. Unconfirmed
   batches and lost messages (`scheduler.lost_messages`) are published again.
10. `scheduler.reaping` ends runs whose lease is over.

In a Celery worker (`worker.registration` connects it to Celery's signals):

11. `worker.signals` records the start and the end of each run by the moves of `runs.transitions`,
    which start a run once, and `worker.replacements` follows the tasks that replace its own.
    `worker.recorder` writes them and renews the leases.
12. `worker.registration` registers the worker's tasks in the `catalogue`. `worker.queue_check`
    checks the queues before they are consumed, and `worker.returned_messages` gives messages of
    tasks that the worker does not have back, for other workers.

In the webhook sender (`manage.py deliver_webhooks`):

13. `webhooks.fan_out` turns events of runs (`runs.events`) into deliveries, and `webhooks.sender`
    sends them, signed, to the destinations that `outbound.address_guard` allows.

`openapi` generates openapi.yaml from the view sets. `admin` is Django admin, by the same actions.
Imports go one way: admin > ops > scheduler, webhooks, worker and manifest > runs and broker >
periodic_tasks > schedules > catalogue and outbound > access > openapi > http.
"""
