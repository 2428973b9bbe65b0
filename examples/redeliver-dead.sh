#!/bin/sh
# Send again what webhooks did not get, when their receivers answer again.
# Usage: redeliver-dead.sh [WEBHOOK], for those of one webhook alone, by its id.
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

dead=$(curl -fsS -H "$auth" -G "$api/deliveries/" -d state=dead -d page_size=500 \
  ${1:+-d "webhook=$1"} |
  python3 -c 'import json, sys; print(*[each["id"] for each in json.load(sys.stdin)["results"]])')

# Those of a webhook that is disabled are refused (409): enable it first.
for delivery in $dead; do
  curl -fsS -H "$auth" -X POST "$api/deliveries/$delivery/redeliver/" |
    python3 -c 'import json, sys; each = json.load(sys.stdin); print(each["event_id"], "is sent again")'
done
