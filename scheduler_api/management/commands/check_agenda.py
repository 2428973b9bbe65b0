"""`manage.py check_agenda`: check, and repair, the agenda and its triggers."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from scheduler_api.periodic_tasks.agenda_check import check_agenda


class Command(BaseCommand):
    """Print a line for each kind of fault; exit with code 1 if faults remain."""

    help = "Compare beat's agenda and its triggers with the periodic tasks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--repair", action="store_true", help="Repair the faults found.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the findings."""
        report = check_agenda(repair=options["repair"], using=options["database"])
        sentences = list(report.sentences())
        for sentence in sentences:
            self.stdout.write(sentence)
        if not sentences:
            self.stdout.write("The agenda is consistent.")
        elif options["repair"]:
            self.stdout.write("All faults are repaired.")
        else:
            raise CommandError("Nothing was changed. Run with --repair to repair these faults.")
