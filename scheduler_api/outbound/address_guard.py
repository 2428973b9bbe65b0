"""The address guard (SSRF): a URL from a caller must not lead into the service's own network.

A host is resolved once, each of its addresses is checked, and the client connects to one of them,
so that a later DNS change has no effect. The check applies to the address that the system resolves
a host to, in any notation: `127.1`, `0x7f000001` and `[::ffff:127.0.0.1]` are loopback.
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeAlias
from urllib.parse import urlsplit

from django.conf import settings

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAX_URL_LENGTH = 2000
RESOLVE_TIMEOUT_SECONDS = 5
PORTS = {"http": 80, "https": 443}
VISIBLE_ASCII = re.compile("[!-~]+")  # visible ASCII
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")

# Special networks in addition to ipaddress: not every Python version knows all networks in
# IANA's registries of special addresses.
SPECIAL = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",  # the relays of 6to4
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",  # Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4, which has an IPv4 address inside
        "3fff::/20",
    )
]
GLOBAL_UNICAST = IPv6Network("2000::/3")
# Metadata services of cloud providers, which give credentials to any caller inside.
METADATA = {
    ip_address(text)
    for text in (
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "192.0.0.192",
        "fd00:ec2::254",
    )
}
# IPv4 within IPv6: mapped, and as NAT64 translates it (RFC 6052).
IPV4_IN_IPV6 = [IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")]


class AddressRefused(ValueError):
    """The URL must not be called; `code` is the reason for programs."""

    code = "invalid_url"


class AddressNotAllowed(AddressRefused):
    """The host resolves to an address that callers must not reach."""

    code = "address_not_allowed"


class Unresolvable(Exception):
    """The host could not be resolved at the moment."""


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A parsed URL. The host is a name or an address, without brackets."""

    scheme: str
    host: str
    port: int
    target: str
    """The request target: path and query."""


def parse_url(url: str) -> Destination:
    """Parse a URL; raise AddressRefused unless it is a plain HTTP URL."""
    if len(url) > MAX_URL_LENGTH:
        raise AddressRefused(f"The URL is too long. Use at most {MAX_URL_LENGTH} characters.")
    if not VISIBLE_ASCII.fullmatch(url) or "\\" in url:
        raise AddressRefused(
            "The URL has characters other than visible ASCII. Percent-encode them, and write the "
            "host as xn--…."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("The URL cannot be parsed. Check its host and its port.") from error
    if parts.scheme not in PORTS:
        raise AddressRefused("The URL must start with https:// or http://.")
    if "@" in parts.netloc:
        raise AddressRefused("The URL must not have a user or a password. Remove them.")
    if parts.fragment or url.endswith("#"):
        raise AddressRefused("The URL must not have a fragment. Remove # and the text after it.")
    host = parts.hostname or ""
    if not HOST.fullmatch(host) or port == 0:
        raise AddressRefused("The URL has no valid host and port.")
    return Destination(
        scheme=parts.scheme,
        host=host,
        port=port or PORTS[parts.scheme],
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def addresses_of(
    destination: Destination, *, timeout_seconds: float = RESOLVE_TIMEOUT_SECONDS
) -> list[Address]:
    """Resolve a host; raise AddressNotAllowed if any of its addresses is not public.

    One is enough: an attacker may return a public and a private address, and wait until the client
    connects to the private one. Raise Unresolvable after `timeout_seconds`.
    """
    found = [without_scope(text) for text in resolve(destination, timeout_seconds=timeout_seconds)]
    if not all(map(is_allowed, found)):
        raise AddressNotAllowed(
            f"The host {destination.host} has an address that is not public. Use another host, or "
            "allow the network in the setting OUTGOING_PRIVATE_ADDRESSES."
        )
    return found


def is_allowed(address: Address) -> bool:
    """Return whether callers may reach an address."""
    address = embedded_ipv4(address)
    opened: Sequence[Network] = settings.OUTGOING_PRIVATE_ADDRESSES
    if address in METADATA:  # a network does not allow it, only the address itself
        return any(
            address in network and network.prefixlen == address.max_prefixlen for network in opened
        )
    return is_public(address) or any(address in network for network in opened)


def is_public(address: Address) -> bool:
    """Return whether an address is reachable from the whole Internet."""
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return address.is_global and not any(address in network for network in SPECIAL)


def embedded_ipv4(address: Address) -> Address:
    """Return the IPv4 address embedded in an IPv6 address; any other address unchanged."""
    if any(address in network for network in IPV4_IN_IPV6):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def without_scope(text: str) -> Address:
    """Parse an address of the system, without the interface of fe80::1%eth0."""
    return ip_address(text.partition("%")[0])


def resolve(destination: Destination, *, timeout_seconds: float) -> list[str]:
    """Resolve a host with the system's resolver; raise Unresolvable.

    A thread does it, because the resolver may take minutes and has no timeout.
    """
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def query() -> None:
        try:
            answers.put(look_up(destination.host, destination.port))
        except (OSError, UnicodeError) as error:  # UnicodeError: a label is too long
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    Thread(target=query, daemon=True, name="resolver").start()
    try:
        answer = answers.get(timeout=max(timeout_seconds, 0.001))
    except Empty:
        answer = TimeoutError("timed out")
    if isinstance(answer, OSError) or not answer:
        raise Unresolvable(f"The host {destination.host} could not be resolved.")
    return answer


def look_up(host: str, port: int) -> list[str]:
    """Return the distinct addresses of a host, in order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
