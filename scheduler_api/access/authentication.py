"""Authentication by the API key in the Authorization header, and nowhere else."""

from datetime import UTC, datetime, timedelta

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from scheduler_api.access.models import ApiKey, ServiceAccount, digest_of
from scheduler_api.access.throttling import refuse_failing
from scheduler_api.http.problems import NotAuthenticated

# Recording each use would make a write of every read.
LAST_USE_RESOLUTION = timedelta(minutes=1)


class BearerAuthentication(BaseAuthentication):
    """Authenticate by `Authorization: Bearer sk_…`.

    `request.user` is the account, and `request.auth` the key.
    """

    def authenticate(self, request: Request) -> tuple[ServiceAccount, ApiKey]:
        """Find the key; raise NotAuthenticated, or TooManyRequests after too many failures."""
        try:
            return self.find(request)
        except NotAuthenticated:
            refuse_failing(request)
            raise

    def find(self, request: Request) -> tuple[ServiceAccount, ApiKey]:
        """Find the key, in one query; raise NotAuthenticated."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise NotAuthenticated("Send the header Authorization: Bearer <API key>.")
        now = datetime.now(UTC)
        keys = ApiKey.objects.live(at=now).select_related("service_account")
        key = keys.filter(digest=digest_of(text.strip())).first()
        if key is None:
            raise NotAuthenticated(
                "The API key is unknown, expired or revoked. Send a live key.",
                error="invalid_token",
            )
        if key.last_used_at is None or now - key.last_used_at > LAST_USE_RESOLUTION:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
        return key.service_account, key
