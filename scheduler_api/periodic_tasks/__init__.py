"""Periodic tasks: definitions of a task, its schedule, arguments and policies."""
