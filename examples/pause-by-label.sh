#!/bin/sh
# Pause all periodic tasks with a label in one transaction: all or none.
# Usage: pause-by-label.sh LABEL, such as team=billing
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

curl -fsS -H "$auth" -G "$api/periodic-tasks/" -d page_size=500 --data-urlencode "label=$1" |
  python3 -c '
import json, sys

tasks = json.load(sys.stdin)["results"]
pauses = [{"op": "pause", "id": task["id"], "body": {"note": "An incident"}} for task in tasks]
json.dump({"operations": pauses}, sys.stdout)
' |
  curl -fsS -H "$auth" -H "$json" "$api/periodic-tasks/batch/" --data-binary @- |
  python3 -c '
import json, sys

for result in json.load(sys.stdin)["results"]:
    print("paused:", result["body"]["name"])
'
