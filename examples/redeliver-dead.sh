#!/bin/sh
# Send dead webhook deliveries again, once their receivers answer again.
# Usage: redeliver-dead.sh [WEBHOOK], with the id of a webhook to send only its deliveries.
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

dead=$(curl -fsS -H "$auth" -G "$api/deliveries/" -d state=dead -d page_size=500 \
  ${1:+-d "webhook=$1"} |
  python3 -c 'import json, sys; print(*[each["id"] for each in json.load(sys.stdin)["results"]])')

# Deliveries of a disabled webhook are refused with 409: enable the webhook first.
for delivery in $dead; do
  curl -fsS -H "$auth" -X POST "$api/deliveries/$delivery/redeliver/" |
    python3 -c 'import json, sys; each = json.load(sys.stdin); print(each["event_id"], "is sent again")'
done
