"""The audit log: each write over the API adds an entry in its own transaction."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Model, TextChoices

from scheduler_api.access.models import AuditEntry, ServiceAccount
from scheduler_api.access.redaction import redacted
from scheduler_api.access.scopes import Scope
from scheduler_api.http.fields import Instant

MAX_NAME_LENGTH = 200
WORD = re.compile(r"(?<!^)(?=[A-Z])")


class Operation(TextChoices):
    """The operation of an audit entry."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    ISSUE = "issue"
    REVOKE = "revoke"
    PAUSE = "pause"
    RESUME = "resume"
    RUN = "run"
    CANCEL = "cancel"
    RETRY = "retry"
    BACKFILL = "backfill"
    ROTATE = "rotate"
    PING = "ping"
    REDELIVER = "redeliver"


class ObjectType(TextChoices):
    """The type of the changed object: the model's name in snake case."""

    INTERVAL_SCHEDULE = "interval_schedule"
    CRONTAB_SCHEDULE = "crontab_schedule"
    SOLAR_SCHEDULE = "solar_schedule"
    CLOCKED_SCHEDULE = "clocked_schedule"
    PERIODIC_TASK = "periodic_task"
    SERVICE_ACCOUNT = "service_account"
    API_KEY = "api_key"
    WEBHOOK = "webhook"
    DELIVERY = "delivery"
    RUN = "run"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The account, key and request behind a change."""

    account: ServiceAccount
    key_prefix: str = ""
    request_id: str = ""


# A user with a shell on the machine may do anything. The account is not stored: it owns nothing.
COMMAND_LINE = Caller(account=ServiceAccount(name="command line", scopes=[Scope.ADMIN]))


def record_entry(
    operation: Operation,
    row: Model,
    *,
    by: Caller,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Add an entry with the changed fields; add none if no field changed.

    A changed secret is listed, too, as `***` before and after. A new row has no `before`, a
    deleted one no `after`. Call this within the transaction of the change, and before a row is
    deleted, because a deleted row loses its id.
    """
    if before is not None and after is not None:
        before, after = difference(before, after)
        if not after:
            return
    new_entry(operation, row, by=by, before=before, after=after).save()


def difference(
    before: Mapping[str, object], after: Mapping[str, object]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the changed fields before and after, as JSON values."""
    old, new = _as_json(before), _as_json(after)
    differing = [name for name in new if old.get(name) != new[name]]
    return {name: old.get(name) for name in differing}, {name: new[name] for name in differing}


def record_new_entries(rows: Mapping[Model, Mapping[str, object]], *, by: Caller) -> None:
    """Add an entry for each of several new rows and its fields, in one statement."""
    AuditEntry.objects.bulk_create(
        new_entry(Operation.CREATE, row, by=by, before=None, after=fields)
        for row, fields in rows.items()
    )


def new_entry(
    operation: Operation,
    row: Model,
    *,
    by: Caller,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
) -> AuditEntry:
    """Return a new entry, not stored yet."""
    return AuditEntry(
        service_account_id=by.account.pk,
        account_name=by.account.name,
        key_prefix=by.key_prefix,
        request_id=by.request_id,
        operation=operation,
        object_type=ObjectType(WORD.sub("_", type(row).__name__).lower()),
        object_id=row.pk if isinstance(row.pk, int) else None,  # a run's id is a UUID
        object_name=str(getattr(row, "name", row))[:MAX_NAME_LENGTH],
        before=redacted(_as_json(before)),
        after=redacted(_as_json(after)),
    )


def _as_json(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _as_json(inner) for name, inner in value.items()}
        case datetime():
            return Instant().to_representation(value)
        case Decimal():
            return float(value)
        case None | bool() | int() | float() | str() | list():
            return value
    return str(value)
