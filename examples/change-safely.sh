#!/bin/sh
# Change the schedule of a periodic task unless it has changed since it was read.
# Usage: change-safely.sh NAME EXPRESSION, such as "0 6 * * *"
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

id=$(curl -fsS -H "$auth" -G "$api/periodic-tasks/" --data-urlencode "name=$1" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["id"])')
etag=$(curl -fsS -H "$auth" -o /dev/null -D - "$api/periodic-tasks/$id/" |
  sed -n 's/^[Ee][Tt][Aa][Gg]: //p' | tr -d '\r')

# Inspect the task and decide here. A change made in the meantime results in a 412.
status=$(curl -sS -H "$auth" -H "$json" -H "If-Match: $etag" -X PATCH "$api/periodic-tasks/$id/" \
  -o /dev/null -w '%{http_code}' \
  -d '{"schedule": {"type": "crontab", "expression": "'"$2"'", "timezone": "Europe/Berlin"}}')
case $status in
  200) echo "changed" ;;
  412) echo "somebody else has changed it: look at it again" >&2; exit 1 ;;
  *) echo "refused with $status" >&2; exit 1 ;;
esac
