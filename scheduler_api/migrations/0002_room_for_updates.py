"""On PostgreSQL, leave room on each page for new versions of its rows.

A run changes soon after it is inserted, and a periodic task changes with each of its runs, in
columns that no index has. If the new version fits on the page of the old one, PostgreSQL touches
no index ("heap-only tuples") and reuses the space of the old version.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLES = ("scheduler_api_run", "django_celery_beat_periodictask")


def set_fillfactor(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = 50)")


def reset_fillfactor(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(f"ALTER TABLE {table} RESET (fillfactor)")


class Migration(migrations.Migration):
    replaces = [("scheduler_api", "0007_room_for_updates")]
    dependencies = [
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("scheduler_api", "0001_tables"),
    ]
    operations = [migrations.RunPython(set_fillfactor, reset_fillfactor)]
