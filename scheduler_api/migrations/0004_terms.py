"""Name columns, a model and indexes by the terms of the field.

The triggers are removed first, in the same transaction: PostgreSQL keeps their functions as text,
so that each write to a definition would fail on `agenda.timing` until they are installed anew,
which happens after the last migration.
"""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from scheduler_api.periodic_tasks.triggers.installation import remove


def remove_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("scheduler_api", "0003_agenda_triggers")]
    operations = [
        migrations.RunPython(remove_triggers, remove_triggers),
        migrations.RenameField("agenda", "timing", "timing_digest"),
        migrations.RenameField("agenda", "since_at", "slots_after_at"),
        migrations.RenameField("agenda", "served_at", "resolved_through_at"),
        # Django renames no field in the condition of an index: SQLite, where it rebuilds tables,
        # would refuse the next change of this one.
        migrations.RemoveIndex("run", "runs_that_are_held"),
        migrations.RenameField("run", "is_held", "is_buffered"),
        migrations.AddIndex(
            "run",
            models.Index(
                fields=["periodic_task_id"],
                condition=models.Q(is_buffered=True),
                name="runs_buffered",
            ),
        ),
        migrations.RenameField("run", "is_to_end", "is_cancel_requested"),
        migrations.RenameField("failurestreak", "since_at", "first_failed_at"),
        migrations.RenameField("beatheartbeat", "trouble", "publish_error"),
        migrations.RenameModel("Repeat", "Republication"),
        migrations.RenameField("republication", "again_at", "not_before_at"),
        *(
            migrations.RenameIndex(model, new_name=new_name, old_name=old_name)
            for model, old_name, new_name in [
                ("managedtask", "pauses_that_end", "managed_tasks_by_pause_end"),
                ("run", "runs_by_time", "runs_by_created_at"),
                ("run", "runs_of_a_task", "runs_by_periodic_task"),
                ("run", "runs_of_an_owner", "runs_by_owner"),
                ("run", "runs_with_a_lease", "runs_by_lease"),
                ("run", "runs_that_ended_so", "runs_by_end_state"),
                ("delivery", "deliveries_to_be_sent", "deliveries_pending"),
                ("delivery", "deliveries_of_a_webhook", "deliveries_by_webhook"),
                ("delivery", "deliveries_that_stand_so", "deliveries_by_state"),
                ("delivery", "deliveries_by_age", "deliveries_by_created_at"),
            ]
        ),
    ]
