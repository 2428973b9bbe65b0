"""Inbound HTTP: parsing, problems, paging, ETags, idempotency keys, view sets."""
