"""Secrets and signatures of webhooks, after Standard Webhooks 1.0.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

A secret is the HMAC-SHA256 of a random salt under SECRET_KEY. The database holds only the salt, so
that a reader of the database or of a backup cannot sign. Reasons: docs/decisions/0018-webhooks.md.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.utils.crypto import salted_hmac

SALT_BYTES = 32
KEY_ID_LENGTH = 16
SECRET_PURPOSE = "scheduler_api.webhooks.secret"  # noqa: S105 - a purpose, not a secret
KEY_ID_PURPOSE = "scheduler_api.webhooks.key"


def new_secret() -> tuple[str, str, str]:
    """Return a new salt, the id of the current SECRET_KEY, and the secret made from both."""
    salt = secrets.token_urlsafe(SALT_BYTES)
    key = settings.SECRET_KEY
    return salt, key_id_of(key, salt), encoded(secret_of(key, salt))


def restore_secret(salt: str, key_id: str) -> str | None:
    """Return the secret of a salt; None if its SECRET_KEY is no longer configured."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if salt and hmac.compare_digest(key_id_of(key, salt), key_id):
            return encoded(secret_of(key, salt))
    return None


def secret_of(key: str, salt: str) -> bytes:
    """Return the 32 bytes of a secret, which neither the key nor the salt alone reveals."""
    return salted_hmac(SECRET_PURPOSE, salt, secret=key, algorithm="sha256").digest()


def key_id_of(key: str, salt: str) -> str:
    """Return an id that identifies the SECRET_KEY of a secret without revealing it."""
    digest = salted_hmac(KEY_ID_PURPOSE, salt, secret=key, algorithm="sha256").hexdigest()
    return digest[:KEY_ID_LENGTH]


def encoded(secret: bytes) -> str:
    """Return a secret in the form given to receivers."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def headers_for(
    body: bytes, *, event_id: str, at: datetime, signed_with: list[str]
) -> dict[str, str]:
    """Return the headers of a message, with one signature per secret."""
    timestamp = str(int(at.timestamp()))
    signatures = signatures_of(body, event_id=event_id, timestamp=timestamp, secrets=signed_with)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def signatures_of(
    body: bytes, *, event_id: str, timestamp: str, secrets: list[str]
) -> Iterator[str]:
    """Yield one signature per secret."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        yield f"v1,{base64.b64encode(digest).decode()}"
