#!/bin/sh
# Pause a periodic task while a command runs, for example a migration of its data.
# Usage: pause-while.sh NAME COMMAND...
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

id=$(curl -fsS -H "$auth" -G "$api/periodic-tasks/" --data-urlencode "name=$1" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["id"])')
shift

# The pause ends after an hour at the latest, even if this script is killed.
until=$(python3 -c 'from datetime import *; print((datetime.now(timezone.utc) + timedelta(hours=1)).isoformat())')
curl -fsS -H "$auth" -H "$json" "$api/periodic-tasks/$id/pause/" \
  -d '{"until": "'"$until"'", "note": "pause-while.sh"}' > /dev/null
trap 'curl -fsS -H "$auth" -X POST "$api/periodic-tasks/$id/resume/" > /dev/null' EXIT
trap "exit 1" INT TERM
"$@"
