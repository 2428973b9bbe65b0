"""The address of the client."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request


def client_address(request: HttpRequest | Request) -> str:
    """Return the address of the client; empty if the server has none, as over a Unix socket.

    Each proxy appends the address of its peer to `X-Forwarded-For`, but any client can send the
    header. The setting PROXIES is the number of trusted proxies: the entry that many places from
    the right is the peer of the outermost one, and entries before it are not trusted.
    """
    peer: str = request.META.get("REMOTE_ADDR", "")
    entries = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if not 0 < settings.PROXIES <= len(entries):
        return peer
    entry = entries[-settings.PROXIES].strip()
    try:
        return str(ip_address(entry.partition("%")[0]))  # the zone may be any text
    except ValueError:
        return peer
