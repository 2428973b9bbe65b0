"""The one refusal of this package."""


class InvalidSchedule(ValueError):
    """A schedule that cannot be run.

    The message says what is wrong and how to mend it, `field` where (the name of an attribute of
    the schedule, or "expression"), and `code` which rule was broken, in a word that never changes.
    """

    def __init__(self, message: str, *, field: str, code: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
