#!/bin/sh
# Create a webhook for failed runs, print its secret, and send it a ping.
# Usage: create-webhook.sh NAME URL [LABELS], as in: create-webhook.sh Alerts https://… team=billing
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

body=$(python3 -c 'import json, sys
name, url, label = sys.argv[1:]
events = ["run.failed", "run.recovered", "run.lost", "run.missed", "periodic_task.paused"]
print(json.dumps({"name": name, "url": url, "label": label, "events": events}))' "$1" "$2" "${3:-}")
made=$(curl -fsS -H "$auth" -H "$json" "$api/webhooks/" -d "$body")

# Only this answer contains the secret: give it to the receiver.
printf '%s' "$made" | python3 -c 'import json, sys; print(json.load(sys.stdin)["secret"])'

id=$(printf '%s' "$made" | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
delivery=$(curl -fsS -H "$auth" -X POST "$api/webhooks/$id/ping/" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
echo "What comes of the ping: $api/deliveries/$delivery/"
