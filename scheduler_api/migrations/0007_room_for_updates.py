"""On PostgreSQL, room on each page for the next version of its rows.

A run changes soon after it was written, and a periodic task with each of its runs, in columns that
no index has. Where the new version fits on the page of the old one, PostgreSQL touches no index
("heap-only tuples"), and takes the old one's place for the next.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLES = ("scheduler_api_run", "django_celery_beat_periodictask")


def make_room(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = 50)")


def fill_up(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(f"ALTER TABLE {table} RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("scheduler_api", "0006_agenda_triggers")]
    operations = [migrations.RunPython(make_room, fill_up)]
