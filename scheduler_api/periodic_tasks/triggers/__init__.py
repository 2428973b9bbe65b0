"""Triggers that keep the agenda: whoever writes a definition, beat learns of it.

The ORM, `update()`, `bulk_create()`, `loaddata`, Django's admin and raw SQL all pass here. A row
of the agenda is made with its periodic task, marked stale when a column of the definition really
changes, and deleted with it, in the writer's own transaction. On PostgreSQL beat is woken, too.
"""
