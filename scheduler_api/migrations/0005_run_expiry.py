"""The time at which the message of a run expires, and an index of the runs that wait until then."""

import json
from datetime import datetime

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def read_expiry(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Fill the column for the runs that may still start."""
    runs = apps.get_model("scheduler_api", "Run").objects
    waiting = runs.filter(ended_as=None, started_at=None, options__contains='"expires"')
    for run in waiting.only("options").iterator():
        if expires := json.loads(run.options).get("expires"):
            runs.filter(pk=run.pk).update(expires_at=datetime.fromisoformat(expires))


class Migration(migrations.Migration):
    dependencies = [("scheduler_api", "0004_terms")]
    operations = [
        migrations.AddField(
            "run",
            "expires_at",
            models.DateTimeField(
                null=True, help_text="When its message expires; null if it does not."
            ),
        ),
        migrations.RunPython(read_expiry, migrations.RunPython.noop),
        migrations.AddIndex(
            "run",
            models.Index(
                fields=["expires_at"],
                condition=models.Q(expires_at__isnull=False, ended_as__isnull=True),
                name="runs_by_expiry",
            ),
        ),
    ]
