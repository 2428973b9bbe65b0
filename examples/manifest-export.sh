#!/bin/sh
# Export all periodic tasks of your account as YAML, for version control.
# Usage: manifest-export.sh > periodic-tasks.yaml
set -eu
api=${SCHEDULER_URL:-http://127.0.0.1:8000}/api/v1
auth="Authorization: Bearer ${SCHEDULER_KEY:?the API key}"

curl -fsS -H "$auth" -H "Accept: application/yaml" "$api/manifest/"
