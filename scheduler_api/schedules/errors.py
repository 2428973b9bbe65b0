"""The exception of an invalid schedule."""


class InvalidSchedule(ValueError):
    """A schedule that cannot run.

    The message names the error and its correction. `field` is the attribute of the schedule that
    is wrong, or "expression". `code` identifies the rule and never changes.
    """

    def __init__(self, message: str, *, field: str, code: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
