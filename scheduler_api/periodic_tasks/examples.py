"""A periodic task as the documentation shows it: sent, answered, paused."""

from typing import Any

EXAMPLE: dict[str, Any] = {
    "name": "Import contacts",
    "task": "project.tasks.import_contacts",
    "schedule": {"type": "interval", "every": 30, "period": "seconds"},
    "args": ["arg1", "arg2"],
    "kwargs": {"be_careful": True},
    "labels": {"team": "sales"},
}

ANSWER: dict[str, Any] = {
    "id": 1,
    "name": EXAMPLE["name"],
    "task": EXAMPLE["task"],
    "schedule": {"id": 1, **EXAMPLE["schedule"], "description": "Every 30 seconds"},
    "interval": 1,
    "crontab": None,
    "solar": None,
    "clocked": None,
    "args": EXAMPLE["args"],
    "kwargs": EXAMPLE["kwargs"],
    "queue": None,
    "exchange": None,
    "routing_key": None,
    "headers": {},
    "priority": None,
    "start_time": None,
    "expires": None,
    "expire_seconds": None,
    "one_off": False,
    "misfire": "run_once",
    "catchup_window_seconds": 3600,
    "overlap": "allow",
    "jitter_seconds": 0,
    "max_runtime_seconds": 3600,
    "enabled": True,
    "paused": False,
    "paused_until": None,
    "pause_note": "",
    "description": "",
    "labels": {"team": "sales"},
    "owner": "crm",
    "managed_by": "api",
    "revision": 1,
    "next_run_at": "2027-03-28T01:00:30Z",
    "last_run_at": None,
    "total_run_count": 0,
    "missed_count": 0,
    "last_error": "",
    "warnings": [],
    "date_changed": "2027-03-28T01:00:00Z",
}
PAUSE = {"note": "The CRM is being moved.", "until": "2100-01-01T06:00:00Z"}
PAUSED = {
    "revision": 2,
    "paused": True,
    "paused_until": PAUSE["until"],
    "pause_note": PAUSE["note"],
    "next_run_at": "2100-01-01T06:00:30Z",
}
