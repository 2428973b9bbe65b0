#!/bin/sh
# Run a periodic task now, wait for the end of the run, and print it.
# Usage: run-now-and-wait.sh NAME; exits with 0 if the run succeeded.
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

id=$(curl -fsS -H "$auth" -G "$api/periodic-tasks/" --data-urlencode "name=$1" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["id"])')
run=$(curl -fsS -H "$auth" -X POST "$api/periodic-tasks/$id/runs/" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')

# The answer arrives at the end of the run or after 30 seconds, or at once if too many callers wait.
while :; do
  answer=$(curl -fsS -H "$auth" "$api/runs/$run/?wait=30")
  state=$(printf '%s' "$answer" | python3 -c 'import json, sys; print(json.load(sys.stdin)["state"])')
  case $state in
    pending | queued | running) sleep 1 ;;
    *) break ;;
  esac
done
printf '%s' "$answer" | python3 -m json.tool
[ "$state" = succeeded ]
