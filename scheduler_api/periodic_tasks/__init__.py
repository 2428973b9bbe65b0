"""The definition of a periodic task: its task, schedule, arguments and policies."""
