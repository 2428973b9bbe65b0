"""The ledger: one row per run, its transitions, retention, and its API."""
