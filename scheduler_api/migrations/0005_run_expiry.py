"""The time at which the message of a run expires, and an index of the runs that wait until then."""

from django.db import migrations, models


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
        migrations.AddIndex(
            "run",
            models.Index(
                fields=["expires_at"],
                condition=models.Q(
                    expires_at__isnull=False, ended_as__isnull=True, started_at__isnull=True
                ),
                name="runs_by_expiry",
            ),
        ),
    ]
