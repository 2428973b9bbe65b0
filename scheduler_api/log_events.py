"""The events that our processes log: a closed list of names, and the logger that writes them.

A line for people has the sentence alone. With `LOG_FORMAT=json` the line also has `event`, one of
`LogEvent`, and each field as a member of its own (project/logs.py). docs/operating.md lists all
events; a test compares that list with this one.
"""

import logging
from enum import StrEnum


class LogEvent(StrEnum):
    """The name of what happened. A name never changes: operators search and alert by it."""

    # The API
    REQUEST_ANSWERED = "request_answered"
    REQUEST_REFUSED = "request_refused"
    REQUEST_FAILED = "request_failed"
    DATABASE_BUSY = "database_busy"
    DATABASE_UNAVAILABLE = "database_unavailable"
    JSON_SCHEMA_INVALID = "json_schema_invalid"
    # Definitions, in beat
    SETTINGS_ENTRY_REFUSED = "settings_entry_refused"
    SETTINGS_ENTRY_PARTS_IGNORED = "settings_entry_parts_ignored"
    SETTINGS_ENTRY_DISABLED = "settings_entry_disabled"
    SETTINGS_ENTRIES_DEFERRED = "settings_entries_deferred"
    TRIGGERS_REMOVED = "triggers_removed"
    TRIGGERS_INSTALLED = "triggers_installed"
    PERIODIC_TASK_RESUMED = "periodic_task_resumed"
    PERIODIC_TASK_QUARANTINED = "periodic_task_quarantined"
    QUARANTINE_RETRIED = "quarantine_retried"
    TASK_UNREGISTERED = "task_unregistered"
    PLANNING_ONE_BY_ONE = "planning_one_by_one"
    CLAIMING_ONE_BY_ONE = "claiming_one_by_one"
    # Runs, in beat
    BATCH_REPUBLISHED = "batch_republished"
    MESSAGES_REPUBLISHED = "messages_republished"
    RUNS_LOST = "runs_lost"
    RUNS_EXPIRED = "runs_expired"
    REVOCATION_FAILED = "revocation_failed"
    # The process of beat
    CLOCK_SET_BACK = "clock_set_back"
    TICK_FAILED = "tick_failed"
    DATABASE_RECOVERED = "database_recovered"
    LISTENING_FAILED = "listening_failed"
    # The broker
    BROKER_READY = "broker_ready"
    BROKER_UNAVAILABLE = "broker_unavailable"
    PUBLISHER_FAILED = "publisher_failed"
    QUEUE_DECLARATION_REFUSED = "queue_declaration_refused"
    QUEUE_DEPTHS_UNKNOWN = "queue_depths_unknown"
    TASK_SENT_EVENT_FAILED = "task_sent_event_failed"
    # Workers
    WORKER_REGISTRATION_DEFERRED = "worker_registration_deferred"
    WORKER_REGISTRATION_FAILED = "worker_registration_failed"
    RUN_STARTED_UNRECORDED = "run_started_unrecorded"
    MESSAGE_DROPPED = "message_dropped"
    MESSAGE_RETURNED = "message_returned"
    MESSAGE_COPY_FAILED = "message_copy_failed"
    RUN_END_DEFERRED = "run_end_deferred"
    RUN_END_NOT_RECORDED = "run_end_not_recorded"
    LEDGER_WRITES_DEFERRED = "ledger_writes_deferred"
    LEDGER_WRITE_ABANDONED = "ledger_write_abandoned"
    RECORDER_FAILED = "recorder_failed"
    RUN_PROCESS_KILLED = "run_process_killed"
    # Webhooks
    WEBHOOK_SENDER_STARTED = "webhook_sender_started"
    WEBHOOK_SENDER_STOPPED = "webhook_sender_stopped"
    WEBHOOK_EVENT_DISCARDED = "webhook_event_discarded"
    WEBHOOK_SECRET_UNREADABLE = "webhook_secret_unreadable"  # noqa: S105 - a name
    DELIVERY_FAILED = "delivery_failed"
    DELIVERIES_UNRECORDED = "deliveries_unrecorded"
    # Retention
    RUNS_PRUNED = "runs_pruned"
    PRUNING_DEFERRED = "pruning_deferred"
    PRUNING_FAILED = "pruning_failed"
    WORKERS_FORGOTTEN = "workers_forgotten"
    # `make up`
    PROCESS_RESTARTED = "process_restarted"
    PROCESS_ENDED = "process_ended"
    STOPPING = "stopping"
    STOPPING_AT_ONCE = "stopping_at_once"
    # Any process
    UNCAUGHT_EXCEPTION = "uncaught_exception"


class EventLogger:
    """Logs an event as a sentence for people and as fields for programs.

    The sentence names its fields as `%(field)s`; a field that it does not name is in the JSON
    alone. Values are texts, numbers, booleans, None, or lists of these.
    """

    def __init__(self, name: str) -> None:
        """`name` is the module's, as for logging.getLogger."""
        self._logger = logging.getLogger(name)

    def debug(self, event: LogEvent, sentence: str, /, **fields: object) -> None:
        """Log at DEBUG."""
        self._log(logging.DEBUG, event, sentence, fields)

    def info(self, event: LogEvent, sentence: str, /, **fields: object) -> None:
        """Log at INFO."""
        self._log(logging.INFO, event, sentence, fields)

    def warning(self, event: LogEvent, sentence: str, /, **fields: object) -> None:
        """Log at WARNING."""
        self._log(logging.WARNING, event, sentence, fields)

    def error(
        self,
        event: LogEvent,
        sentence: str,
        /,
        *,
        exc_info: BaseException | None = None,
        **fields: object,
    ) -> None:
        """Log at ERROR, with the traceback of `exc_info` if it is given."""
        self._log(logging.ERROR, event, sentence, fields, exc_info=exc_info)

    def exception(self, event: LogEvent, sentence: str, /, **fields: object) -> None:
        """Log at ERROR, with the traceback of the exception that is being handled."""
        self._log(logging.ERROR, event, sentence, fields, exc_info=True)

    def critical(
        self, event: LogEvent, sentence: str, /, *, exc_info: BaseException, **fields: object
    ) -> None:
        """Log at CRITICAL, with the traceback of `exc_info`."""
        self._log(logging.CRITICAL, event, sentence, fields, exc_info=exc_info)

    def _log(
        self,
        level: int,
        event: LogEvent,
        sentence: str,
        fields: dict[str, object],
        *,
        exc_info: BaseException | bool | None = None,
    ) -> None:
        # logging takes one mapping as the values of the sentence, but not an empty one.
        self._logger.log(
            level,
            sentence,
            *([fields] if fields else []),
            exc_info=exc_info,
            extra={"members": {"event": event.value, **fields}},
            stacklevel=3,
        )


def in_one_line(error: BaseException) -> str:
    """Return the message of an error on one line; its class where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
