"""Schedules: their four kinds, the slot engine and the preview."""
