"""What goes from the ledger to the broker, and what comes back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """A run that is to be published, as the ledger has frozen it.

    `args` and `kwargs` are JSON: an array and an object. `options` is a JSON object of what
    Celery's `apply_async` takes: `queue`, `exchange`, `routing_key`, `priority`, `headers` (an
    object) and `expires` (ISO 8601); what is not set is left out.
    """

    id: str
    periodic_task_name: str
    task: str
    args: str
    kwargs: str
    options: str


class PublishFailure(Enum):
    """What the broker, or nobody, said of a message that will not be confirmed."""

    UNROUTABLE = "unroutable"  # no queue takes it, or there is no such exchange
    REFUSED = "refused"  # it cannot be made into a message
    UNANSWERED = "unanswered"  # nobody knows: it is to be published again, under the same id


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchResult:
    """What became of a batch: each of its runs is in one of the two."""

    batch_id: int
    confirmed: Sequence[str]
    failed: Mapping[str, tuple[PublishFailure, str]] = field(default_factory=dict)
