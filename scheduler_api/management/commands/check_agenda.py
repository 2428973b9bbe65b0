"""`manage.py check_agenda`: whether beat has noticed all that was written."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from scheduler_api.periodic_tasks.agenda_check import check_agenda


class Command(BaseCommand):
    """Say what is wrong, a line for each kind of it; exit code 1 where it stays so."""

    help = "Compare beat's agenda, and the triggers that keep it, with the periodic tasks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--repair", action="store_true", help="Mend what is wrong.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was found."""
        report = check_agenda(repair=options["repair"], using=options["database"])
        sentences = list(report.sentences())
        for sentence in sentences:
            self.stdout.write(sentence)
        if not sentences:
            self.stdout.write("The agenda is as it should be.")
        elif options["repair"]:
            self.stdout.write("All of it is mended.")
        else:
            raise CommandError("Nothing was changed: --repair mends it.")
