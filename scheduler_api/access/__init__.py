"""Accounts, API keys, scopes, ownership, rate limits, redaction, and the audit log."""
