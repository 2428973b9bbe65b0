"""Endpoints for operators: `/healthz` and `/readyz`."""
