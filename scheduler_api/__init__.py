"""Periodic tasks over HTTP.

One request, module by module: `POST /api/v1/periodic-tasks/` with a name, a task, its arguments
and a schedule.

1. `http.middleware` gives it an id and its path a slash; `urls` finds the view set.
2. `access` finds whose key it is, counts the request (`throttling`) and asks for the scope.
   `http.viewsets` refuses query parameters that nobody declared; `http.idempotency` answers as
   before what has been sent before; `http.parsing` reads the body, strictly.
3. `periodic_tasks.serializers` takes the fields, each of one JSON type (`http.fields`). The
   schedule inline goes to `schedules.inline`, and on to the serializer of its kind, which builds
   a row of django-celery-beat's (`schedules.tables`) and asks whether it has a next slot
   (`schedules.slots`).
4. `periodic_tasks.validation` asks all that concerns several fields: does the task exist, do the
   arguments fit its signature (`catalogue`: by this process's code, or by what the workers have
   told of theirs), will it ever run (`periodic_tasks.slots`)?
5. `periodic_tasks.actions` stores it in one transaction, on a schedule row that equal ones share,
   and `access.audit` notes who did it. A trigger marks it in the agenda
   (`periodic_tasks.agenda`), within the same transaction.
6. The serializer describes the row as it now stands, with stars for the secrets. Whatever is
   refused on the way is an exception (`http.problems`), and one handler answers it
   (`http.handlers`).

And then, in beat (`beat.engine`):

7. `beat.planning` finds the next slot of what is marked, as `periodic_tasks.slots` has it.
8. `beat.claiming` takes what is due: `beat.serving` and `beat.policy` decide, `beat.store` writes
   the runs (`runs.models`) and the next slots in one commit.
9. `beat.publishing` sends them, as `beat.templates` has learnt it from Celery; what the broker
   answers goes into the ledger, and what it leaves unanswered is sent again, as is what it loses
   (`beat.lost_messages`). A worker starts each run once (`runs.recording`).

And where somebody is to hear of it, in a process of its own (`manage.py deliver_webhooks`):

10. `webhooks.fan_out` makes deliveries of what came of runs (`runs.events`), and
    `webhooks.sender` sends them, signed, to where `http.destinations` lets it.

What the answers look like is written in openapi.yaml, made from these classes by `http.schema`.
Imports go one way: ops > beat, manifest and webhooks > runs > periodic_tasks > schedules and
catalogue > access > http.
"""
