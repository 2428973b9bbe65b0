#!/bin/sh
# Retry all runs that failed in the last hour, once their cause is fixed.
# Usage: retry-failed-runs.sh [NAME], with the name of a periodic task to retry only its runs.
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

since=$(python3 -c 'from datetime import *; print((datetime.now(timezone.utc) - timedelta(hours=1)).isoformat())')
runs=$(curl -fsS -H "$auth" -G "$api/runs/" -d state=failed,lost -d page_size=500 \
  --data-urlencode "created_at_after=$since" ${1:+--data-urlencode "periodic_task_name=$1"} |
  python3 -c 'import json, sys; print(*[run["id"] for run in json.load(sys.stdin)["results"]])')

# With the Idempotency-Key, each run is retried only once, even if this script runs again in a day.
for run in $runs; do
  curl -fsS -H "$auth" -H "Idempotency-Key: retry-$run" -X POST "$api/runs/$run/retry/" |
    python3 -c 'import json, sys; print("'"$run"' is run again as", json.load(sys.stdin)["id"])'
done
