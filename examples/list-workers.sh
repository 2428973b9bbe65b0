#!/bin/sh
# List the workers, one per line: name, state, version of the code, and queues.
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

curl -fsS -H "$auth" "$api/workers/" |
  python3 -c '
import json, sys

for worker in json.load(sys.stdin)["results"]:
    state = "lives" if worker["is_alive"] else "last seen " + worker["last_seen_at"]
    print(worker["name"], state, worker["version"], ",".join(worker["queues"]), sep="\t")
'
