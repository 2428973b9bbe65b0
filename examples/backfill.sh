#!/bin/sh
# Run the slots of a time range that passed without a run, for example during an outage.
# Usage: backfill.sh NAME FROM UNTIL, with times such as 2027-03-28T06:00:00Z
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

id=$(curl -fsS -H "$auth" -G "$api/periodic-tasks/" --data-urlencode "name=$1" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["id"])')

# dry_run=true only counts the runs. With an Idempotency-Key, a repeated request has no effect.
for query in dry_run=true dry_run=false; do
  curl -fsS -H "$auth" -H "$json" -H "Idempotency-Key: backfill-$id-$2-$3" \
    "$api/periodic-tasks/$id/backfill/?$query" -d '{"from": "'"$2"'", "until": "'"$3"'"}' |
    python3 -c 'import json, sys; print("'"$query"':", json.load(sys.stdin)["count"], "runs")'
done
