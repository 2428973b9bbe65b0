#!/bin/sh
# Have a task run once, in a week, and never twice, however often this is sent for one order:
# the network may fail after the request was carried out.
# Usage: create-once.sh ORDER
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

at=$(python3 -c 'from datetime import *; print((datetime.now(timezone.utc) + timedelta(days=7)).date())')
# A day long, the same key with the same body is answered as it was the first time.
curl -fsS --retry 5 --retry-connrefused -D - -H "$auth" -H "$json" \
  -H "Idempotency-Key: reminder-$1-$at" "$api/periodic-tasks/" -d '{
  "name": "Reminder of order '"$1"'",
  "task": "project.tasks.import_contacts",
  "args": ["order", "'"$1"'"],
  "schedule": {"type": "clocked", "clocked_time": "'"$at"'T09:00:00Z"}
}'
