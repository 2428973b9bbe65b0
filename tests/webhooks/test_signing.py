"""Secrets and signatures of webhooks."""

import base64
from datetime import UTC, datetime

import pytest

from scheduler_api.webhooks import signing
from scheduler_api.webhooks.models import Webhook
from tests.api.runs.examples import NOON
from tests.webhooks.examples import account, webhook_of
from tests.webhooks.receiver import Received

KEY, NEXT_KEY = "a" * 50, "b" * 50
BODY = b'{"type":"run.failed"}'


def test_signature_equals_the_reference_implementation():
    """The signature by `standardwebhooks` 1.1.0 for Python, equal to other implementations."""
    [signature] = signing.signatures_of(
        b'{"test": 2432232314}',
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp="1614265330",
        secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_message_signed_with_two_secrets_is_verified_by_each():
    secrets = [signing.new_secret()[2] for _ in range(3)]
    headers = signing.headers_for(
        BODY, event_id="msg_1", at=datetime.now(UTC), signed_with=secrets[:2]
    )
    received = Received(method="POST", path="/", headers=headers, body=BODY)

    assert [received.is_signed_with(secret) for secret in secrets] == [True, True, False]


def test_secret_has_256_random_bits():
    first, second = signing.new_secret()[2], signing.new_secret()[2]

    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32
    assert first != second


def test_secret_is_restored_from_its_salt():
    salt, key_id, secret = signing.new_secret()

    assert signing.restore_secret(salt, key_id) == secret
    assert signing.restore_secret(salt + "x", key_id) is None
    assert signing.restore_secret("", "") is None


def test_secret_survives_a_new_secret_key_while_the_old_one_is_a_fallback(settings):
    settings.SECRET_KEY = KEY
    salt, key_id, secret = signing.new_secret()

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEXT_KEY, [KEY]
    assert signing.restore_secret(salt, key_id) == secret

    settings.SECRET_KEY_FALLBACKS = []
    assert signing.restore_secret(salt, key_id) is None


@pytest.mark.django_db
def test_secret_is_not_stored(secrets):
    webhook, secret = webhook_of(account())
    secrets.texts[secret.removeprefix("whsec_")] = "the secret of a webhook"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    secrets.texts[key.hex()] = "the secret of a webhook, in hexadecimal digits"

    assert Webhook.objects.get(pk=webhook.pk).salt not in secret


@pytest.mark.django_db
def test_previous_secret_signs_until_its_end():
    webhook, before = webhook_of(account())
    webhook.previous_salt, webhook.previous_key_id = webhook.salt, webhook.key_id
    webhook.previous_until = NOON
    now = webhook.renew_secret()

    assert webhook.signing_secrets(now=NOON.replace(hour=11)) == [now, before]
    assert webhook.signing_secrets(now=NOON) == [now]
