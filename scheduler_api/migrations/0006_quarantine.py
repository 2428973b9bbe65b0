"""Find quarantined periodic tasks by an index; record which announced signatures are binding."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scheduler_api", "0005_run_expiry")]
    operations = [
        migrations.AddIndex(
            "agenda",
            models.Index(
                fields=["slot_at"],
                condition=models.Q(failures__gt=0),
                name="agenda_quarantined",
            ),
        ),
        migrations.AddField(
            "taskspec",
            "is_binding",
            models.BooleanField(
                db_default=False,
                help_text="Whether a call that does not fit the signature fails for certain.",
            ),
        ),
    ]
