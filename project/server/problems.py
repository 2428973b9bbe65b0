"""The problems of requests that never reach a view."""

from scheduler_api.http.problems import Problem


class RequestTimeout(Problem):
    """The request did not arrive in time."""

    status_code = 408
    code = "request_timeout"


class UriTooLong(Problem):
    """The request line exceeds a size limit."""

    status_code = 414
    code = "uri_too_long"


class ExpectationFailed(Problem):
    """The server does not meet this expectation."""

    status_code = 417
    code = "expectation_failed"


class HeadTooLarge(Problem):
    """The head of the request exceeds a size limit."""

    status_code = 431
    code = "head_too_large"


class UnsupportedTransferCoding(Problem):
    """The server does not support this transfer coding."""

    status_code = 501
    code = "unsupported_transfer_coding"


class Overloaded(Problem):
    """The server has too many open requests. Nothing was changed."""

    status_code = 503
    code = "overloaded"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class UnsupportedVersion(Problem):
    """The server does not support this version of HTTP."""

    status_code = 505
    code = "unsupported_version"
