"""The four kinds of schedules, the slot engine, and preview."""
