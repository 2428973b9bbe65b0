#!/bin/sh
# Create a periodic task on a crontab, in the wall-clock time of a time zone.
# Names are unique: a second call is refused with 409 (see deploy-by-name.sh).
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

curl -fsS -H "$auth" -H "$json" "$api/periodic-tasks/" -d '{
  "name": "Import of working days",
  "task": "project.tasks.import_contacts",
  "args": ["crm", "billing"],
  "schedule": {"type": "crontab", "expression": "30 7 * * mon-fri", "timezone": "Europe/Berlin"}
}' | python3 -m json.tool
