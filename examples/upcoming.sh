#!/bin/sh
# List the next slots of all periodic tasks with a label.
# Usage: upcoming.sh LABEL, such as team=billing
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

curl -fsS -H "$auth" -G "$api/upcoming/" --data-urlencode "label=$1" -d page_size=20 |
  python3 -c '
import json, sys

for slot in json.load(sys.stdin)["results"]:
    print(slot["slot_at"], slot["periodic_task_name"], sep="\t")
'
