#!/bin/sh
# Print statistics of the last day, one line per task: runs, failures, p95 of duration and lateness.
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

curl -fsS -H "$auth" "$api/runs/stats/?group_by=task" |
  python3 -c '
import json, sys

for group in json.load(sys.stdin)["results"]:
    bad = sum(group["states"][state] for state in ("failed", "lost", "missed", "unroutable"))
    ran, late = group["duration_seconds"]["p95"], group["lateness_seconds"]["p95"]
    print(group["task"], str(group["count"]) + " runs", f"{bad} bad", f"ran {ran} s",
          f"late {late} s", sep="\t")
'
