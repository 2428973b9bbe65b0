#!/bin/sh
# List the latest runs that did not succeed, one per line: time, name, state, reason and id.
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

curl -fsS -H "$auth" "$api/runs/?state=failed,lost,missed,unroutable,expired&page_size=20" |
  python3 -c '
import json, sys

for run in json.load(sys.stdin)["results"]:
    when, name, state = run["created_at"], run["periodic_task_name"], run["state"]
    print(when, name, state, run["reason"], run["id"], sep="\t")
'
