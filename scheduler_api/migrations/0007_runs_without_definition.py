"""Runs of a task without a periodic task, their events and their audit entries."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scheduler_api", "0006_quarantine")]
    operations = [
        migrations.AlterField("auditentry", "object_id", models.BigIntegerField(null=True)),
        migrations.AlterField(
            "run",
            "periodic_task_id",
            models.IntegerField(
                null=True,
                help_text="Kept when the periodic task is deleted; null for a run without a "
                "definition.",
            ),
        ),
        migrations.AlterField("runevent", "periodic_task_id", models.IntegerField(null=True)),
    ]
