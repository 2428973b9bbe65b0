#!/bin/sh
# Create an account for a service, and print an API key for it. The account may read and write its
# own periodic tasks, run them, and read its runs. This requires the key of an administrator.
# Usage: issue-key.sh SERVICE
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

account=$(curl -fsS -H "$auth" -H "$json" "$api/service-accounts/" -d '{
  "name": "'"$1"'",
  "scopes": ["periodic-tasks:read", "periodic-tasks:write", "runs:read", "runs:write", "tasks:read"]
}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')

# Only this answer contains the key.
curl -fsS -H "$auth" -H "$json" "$api/api-keys/" -d "{\"service_account\": $account}" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["key"])'
