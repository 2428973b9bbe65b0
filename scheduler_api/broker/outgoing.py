"""Values that pass between the ledger and the publisher: runs to publish, and their results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """A run to publish, with the payload that the ledger has frozen.

    `args` and `kwargs` are JSON: an array and an object. `options` is a JSON object of arguments
    of Celery's `apply_async`: `queue`, `exchange`, `routing_key`, `priority`, `headers` (an
    object) and `expires` (ISO 8601); an option that is not set is left out.
    """

    id: str
    periodic_task_name: str
    task: str
    args: str
    kwargs: str
    options: str


class PublishFailure(Enum):
    """Why a message was not confirmed."""

    UNROUTABLE = "unroutable"  # no queue receives it, or its exchange does not exist
    REFUSED = "refused"  # it cannot be made into a message
    UNANSWERED = "unanswered"  # unknown: publish it again under the same id


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchResult:
    """The result of a batch: each of its runs is in `confirmed` or in `failed`."""

    batch_id: int
    confirmed: Sequence[str]
    failed: Mapping[str, tuple[PublishFailure, str]] = field(default_factory=dict)
