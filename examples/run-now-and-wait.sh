#!/bin/sh
# Run a periodic task now, wait for the end of the run, and print it.
# Usage: run-now-and-wait.sh NAME; exits with 0 if the run succeeded.
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

body=$(python3 -c 'import json, sys; print(json.dumps({"periodic_task_name": sys.argv[1]}))' "$1")
answer=$(curl -fsS -H "$auth" -H 'Content-Type: application/json' "$api/runs/?wait=30" -d "$body")

# The answer arrives at the end of the run or after 30 seconds, or at once if too many callers wait.
field() { printf '%s' "$answer" | python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }
while :; do
  state=$(field state)
  case $state in
    pending | queued | running) sleep 1; answer=$(curl -fsS -H "$auth" "$api/runs/$(field id)/?wait=30") ;;
    *) break ;;
  esac
done
printf '%s' "$answer" | python3 -m json.tool
[ "$state" = succeeded ]
