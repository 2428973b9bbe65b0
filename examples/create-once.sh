#!/bin/sh
# Schedule a task to run once, in a week. The request can be sent again for the same order without
# a second effect, since the network may fail after the service has processed it.
# Usage: create-once.sh ORDER
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

at=$(python3 -c 'from datetime import *; print((datetime.now(timezone.utc) + timedelta(days=7)).date())')
# For a day, a request with the same key and body gets the first answer again.
curl -fsS --retry 5 --retry-connrefused -D - -H "$auth" -H "$json" \
  -H "Idempotency-Key: reminder-$1-$at" "$api/periodic-tasks/" -d '{
  "name": "Reminder of order '"$1"'",
  "task": "project.tasks.import_contacts",
  "args": ["order", "'"$1"'"],
  "schedule": {"type": "clocked", "clocked_time": "'"$at"'T09:00:00Z"}
}'
