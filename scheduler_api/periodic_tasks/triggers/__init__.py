"""Database triggers that maintain the agenda, so that beat sees every change of a definition.

They fire for the ORM, `update()`, `bulk_create()`, `loaddata`, Django's admin and raw SQL. In the
writer's transaction, they insert an agenda row with its periodic task, mark the row stale when the
value of a definition column changes, and delete it with the task. On PostgreSQL they also wake
beat.
"""
