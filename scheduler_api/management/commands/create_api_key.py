"""`manage.py create_api_key`: create an API key from the command line, such as the first one."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from scheduler_api.access.actions import get_or_create_account, issue_key
from scheduler_api.access.audit import COMMAND_LINE
from scheduler_api.access.models import NAME_RULE, ServiceAccount
from scheduler_api.access.scopes import Scope
from scheduler_api.http.problems import Problem


class Command(BaseCommand):
    """Create a key and print it. Only its digest is stored, so it cannot be shown again."""

    help = "Create a key of a service account. The account is created if it does not exist."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--account", required=True, metavar="NAME")
        parser.add_argument(
            "--scopes",
            nargs="+",
            default=[],
            choices=Scope.values,
            metavar="SCOPE",
            help=f"Scopes of a new account: {', '.join(Scope.values)}.",
        )
        parser.add_argument(
            "--expires",
            type=datetime.fromisoformat,
            metavar="DATETIME",
            help="When the key expires, such as 2028-01-01T00:00:00Z; by default never.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the key on a line of its own."""
        name, scopes, expires_at = options["account"], options["scopes"], options["expires"]
        if expires_at and expires_at.tzinfo is None:
            raise CommandError("--expires needs an offset: 2028-01-01T00:00:00Z.")
        if expires_at and expires_at <= datetime.now(UTC):
            raise CommandError("--expires is in the past.")
        existing = ServiceAccount.objects.filter(name=name).first()
        if existing is None and not scopes:
            raise CommandError(f"Account {name!r} does not exist. Pass --scopes to create it.")
        if existing is None:
            self.check_name(name)
        if existing and scopes and set(scopes) != set(existing.scopes):
            raise CommandError(
                f"Account {name!r} has the scopes {', '.join(existing.scopes)}. Omit --scopes, or "
                "change the account through the API."
            )
        try:
            account = get_or_create_account(name, scopes, by=COMMAND_LINE)
            _, text = issue_key(account, expires_at=expires_at, by=COMMAND_LINE)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(text)

    def check_name(self, name: str) -> None:
        """Refuse a name that the API would refuse."""
        try:
            NAME_RULE(name)
        except ValidationError as error:
            raise CommandError(f"--account {name!r}: {error.message}") from error
