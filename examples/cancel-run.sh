#!/bin/sh
# Cancel a run: a waiting run never starts, and the process of a running one is terminated.
# Usage: cancel-run.sh RUN
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

curl -fsS -H "$auth" -X POST "$api/runs/$1/cancel/" > /dev/null
curl -fsS -H "$auth" "$api/runs/$1/?wait=30" |
  python3 -c 'import json, sys; run = json.load(sys.stdin); print(run["state"], run["reason"], sep=": ")'
