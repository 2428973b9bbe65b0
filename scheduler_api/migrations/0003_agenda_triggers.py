"""From this migration on, the database has the triggers that maintain the agenda.

They are installed after the last migration (`scheduler_api.periodic_tasks.triggers.migrating`):
installed here, they would block the next one. Migrating back removes them.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from scheduler_api.periodic_tasks.triggers.installation import remove


def remove_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    remove(schema_editor.connection)


class Migration(migrations.Migration):
    replaces = [("scheduler_api", "0006_agenda_triggers")]
    dependencies = [
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("scheduler_api", "0002_room_for_updates"),
    ]
    operations = [migrations.RunPython(migrations.RunPython.noop, remove_triggers)]
