"""From here on there are triggers that keep the agenda.

They are put in when all migrations are done (`scheduler_api.periodic_tasks.triggers.migrating`):
here they would stand in the way of the next one. To migrate back takes them off.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from scheduler_api.periodic_tasks.triggers.installation import remove


def take_off(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("scheduler_api", "0005_beat_engine"),
    ]
    operations = [migrations.RunPython(migrations.RunPython.noop, take_off)]
