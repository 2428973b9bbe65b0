#!/bin/sh
# Make an account for a service, and print a key for it: it may read and write periodic tasks of
# its own, run them, and see what came of it. Asks for the key of an admin.
# Usage: issue-key.sh SERVICE
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"
json="Content-Type: application/json"

account=$(curl -fsS -H "$auth" -H "$json" "$api/service-accounts/" -d '{
  "name": "'"$1"'",
  "scopes": ["periodic-tasks:read", "periodic-tasks:write", "runs:read", "runs:write", "tasks:read"]
}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')

# The key is told in this answer, and never again.
curl -fsS -H "$auth" -H "$json" "$api/api-keys/" -d "{\"service_account\": $account}" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["key"])'
