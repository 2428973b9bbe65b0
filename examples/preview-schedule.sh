#!/bin/sh
# Preview the slots of a crontab and its rule for clock changes, without storing it.
# Usage: preview-schedule.sh EXPRESSION ZONE, such as "30 2 * * *" Europe/Berlin
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

curl -fsS -H "$auth" -H "$json" "$api/schedules/preview/" -d '{
  "schedule": {"type": "crontab", "expression": "'"$1"'", "timezone": "'"$2"'"},
  "count": 5
}' | python3 -m json.tool
