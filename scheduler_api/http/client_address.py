"""From where a request comes."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request


def client_address(request: HttpRequest | Request) -> str:
    """Return the address of the caller; empty where the server is reached without one.

    Each proxy adds to `X-Forwarded-For` the address that it was called from, and anybody may
    send the header. So it counts where the setting PROXIES says how many proxies are ours: that
    many entries from the right stands what the outermost of them saw, and before it hearsay.
    """
    peer: str = request.META.get("REMOTE_ADDR", "")
    entries = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if not 0 < settings.PROXIES <= len(entries):
        return peer
    entry = entries[-settings.PROXIES].strip()
    try:
        return str(ip_address(entry.partition("%")[0]))  # a zone is any text
    except ValueError:
        return peer
