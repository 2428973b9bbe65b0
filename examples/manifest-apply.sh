#!/bin/sh
# Apply a manifest file to the periodic tasks of your account: print the plan, then apply it.
# Usage: manifest-apply.sh FILE
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
echo "Planned:"
curl -fsS -D "$headers" -H "$auth" -H "Content-Type: application/yaml" --data-binary "@$1" \
  "$api/manifest/?mode=plan&prune=true" | python3 -m json.tool
etag=$(sed -n 's/^[Ee][Tt][Aa][Gg]: //p' "$headers" | tr -d '\r')

# If any periodic task has changed since the plan, the request is refused with 412.
echo "Applied:"
curl -fsS -H "$auth" -H "Content-Type: application/yaml" -H "If-Match: $etag" \
  --data-binary "@$1" "$api/manifest/?mode=apply&prune=true" | python3 -m json.tool
