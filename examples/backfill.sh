#!/bin/sh
# Run the slots of a range that have passed without a run, such as those of an outage.
# Usage: backfill.sh NAME FROM UNTIL, moments such as 2027-03-28T06:00:00Z
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

id=$(curl -fsS -H "$auth" -G "$api/periodic-tasks/" --data-urlencode "name=$1" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["id"])')

# Sent again under its key, it has no second effect; without dry_run=true, it is done.
for query in dry_run=true dry_run=false; do
  curl -fsS -H "$auth" -H "$json" -H "Idempotency-Key: backfill-$id-$2-$3" \
    "$api/periodic-tasks/$id/backfill/?$query" -d '{"from": "'"$2"'", "until": "'"$3"'"}' |
    python3 -c 'import json, sys; print("'"$query"':", json.load(sys.stdin)["count"], "runs")'
done
