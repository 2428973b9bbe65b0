"""Store what beat and workers have found in their queues."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scheduler_api", "0007_runs_without_definition")]
    operations = [
        migrations.AddField(
            model_name="beatheartbeat",
            name="queue_mismatches",
            field=models.JSONField(
                default=list, help_text="Queues that exist with other arguments than ours."
            ),
        ),
        migrations.AddField(
            model_name="worker",
            name="queue_mismatches",
            field=models.JSONField(
                default=list, help_text="Its queues that exist with other arguments than ours."
            ),
        ),
        migrations.AddField(
            model_name="worker",
            name="returned_tasks",
            field=models.JSONField(
                default=list,
                help_text="Queue and task, as a pair, of messages that it lately gave back "
                "because it does not have the task.",
            ),
        ),
    ]
