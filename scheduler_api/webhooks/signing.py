"""Secrets and signatures, as Standard Webhooks 1.0.0 has them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

A secret is HMAC-SHA256 of a random salt under SECRET_KEY. The database has the salt alone: whoever
reads it, or a backup of it, can sign nothing. Why so: docs/decisions/0018-webhooks.md.
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
SECRET_OF = "scheduler_api.webhooks.secret"  # noqa: S105 - no secret: what it is for
KEY_ID_OF = "scheduler_api.webhooks.key"


def make() -> tuple[str, str, str]:
    """Return a new salt, the id of the key that goes with it, and the secret that both make."""
    salt = secrets.token_urlsafe(SALT_BYTES)
    key = settings.SECRET_KEY
    return salt, key_id_of(key, salt), written(secret_of(key, salt))


def restored(salt: str, key_id: str) -> str | None:
    """Return the secret that a salt has made; None where its SECRET_KEY is none of ours now."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if salt and hmac.compare_digest(key_id_of(key, salt), key_id):
            return written(secret_of(key, salt))
    return None


def secret_of(key: str, salt: str) -> bytes:
    """Return 32 bytes, which nobody knows who has only one of both."""
    return salted_hmac(SECRET_OF, salt, secret=key, algorithm="sha256").digest()


def key_id_of(key: str, salt: str) -> str:
    """Return what tells, without telling the key, whether a secret was made with it."""
    digest = salted_hmac(KEY_ID_OF, salt, secret=key, algorithm="sha256").hexdigest()
    return digest[:KEY_ID_LENGTH]


def written(secret: bytes) -> str:
    """Return a secret as it is handed out."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def headers_for(
    body: bytes, *, event_id: str, at: datetime, signed_with: list[str]
) -> dict[str, str]:
    """Return the headers of a message, with a signature by each of several secrets."""
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
    """Yield a signature by each secret."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        yield f"v1,{base64.b64encode(digest).decode()}"
