"""Retry policy of deliveries."""

import random
from datetime import timedelta
from http.client import HTTPMessage

import pytest

from scheduler_api.webhooks.retry_policy import (
    MAX_ATTEMPTS,
    RETRY_DELAYS,
    AttemptResult,
    DeliveryDecision,
    decide,
    delay_after,
    retry_after_in,
)


@pytest.mark.parametrize(
    ("status", "attempts", "decision"),
    [
        (200, 1, DeliveryDecision.DELIVERED),
        (204, MAX_ATTEMPTS, DeliveryDecision.DELIVERED),
        (299, 1, DeliveryDecision.DELIVERED),
        (None, 1, DeliveryDecision.RETRY),
        (199, 1, DeliveryDecision.RETRY),
        (302, 1, DeliveryDecision.RETRY),
        (404, 1, DeliveryDecision.RETRY),
        (429, MAX_ATTEMPTS - 1, DeliveryDecision.RETRY),
        (500, MAX_ATTEMPTS, DeliveryDecision.DEAD),
        (None, MAX_ATTEMPTS, DeliveryDecision.DEAD),
        (410, 1, DeliveryDecision.GONE),
    ],
)
def test_decide(status, attempts, decision):
    assert decide(AttemptResult(status=status), attempts=attempts) is decision


def test_delivery_is_attempted_for_about_two_days():
    waited = sum(RETRY_DELAYS, timedelta(0))

    assert timedelta(hours=44) < waited < timedelta(hours=52)
    assert sorted(RETRY_DELAYS) == RETRY_DELAYS


class FixedRandom(random.Random):
    """A random generator that always returns the same number."""

    def __init__(self, drawn: float) -> None:
        super().__init__()
        self.drawn = drawn

    def random(self) -> float:
        return self.drawn


@pytest.mark.parametrize(("drawn", "seconds"), [(0.0, 30), (1.0, 37.5)])
def test_delay_is_jittered_by_up_to_a_quarter(drawn, seconds):
    delay = delay_after(AttemptResult(), attempts=2, rng=FixedRandom(drawn))

    assert delay == timedelta(seconds=seconds)


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 5), (1, 5), (60, 60)])
def test_retry_after_only_lengthens_the_delay(retry_after, seconds):
    result = AttemptResult(status=503, retry_after=retry_after and timedelta(seconds=retry_after))

    assert delay_after(result, attempts=1, rng=FixedRandom(0)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("status", "text", "seconds"),
    [
        (503, "120", 120),
        (429, "120", 120),
        (500, "120", None),
        (503, None, None),
        (503, "Fri, 31 Dec 1999 23:59:59 GMT", None),
        (503, "-1", None),
        (503, "²", None),
        (503, "999999999", 86400),
        (503, "9" * 5000, None),
    ],
)
def test_retry_after_is_parsed_in_seconds(status, text, seconds):
    headers = HTTPMessage()
    if text is not None:
        headers["retry-after"] = text

    assert retry_after_in(status, headers) == (seconds and timedelta(seconds=seconds))
