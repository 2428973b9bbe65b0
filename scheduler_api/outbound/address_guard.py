"""Where a request of ours may go: what somebody names must not lead into our own network.

A name is resolved once, each of its addresses is judged, and one of these is connected to: what
the name leads to a moment later does not matter. What is judged is the address that the system
resolves a host to, however that is written: `127.1`, `0x7f000001` and `[::ffff:127.0.0.1]` are
loopback.
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
RESOLVE_SECONDS = 5
PORTS = {"http": 80, "https": 443}
WRITABLE = re.compile("[!-~]+")  # visible ASCII
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")

# What is not for everybody, beyond what Python's ipaddress tells: it does not know all of IANA's
# registries of special addresses in each of its versions, nor these hosts of cloud providers.
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
# They tell whoever asks from inside the keys to everything.
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
WITH_IPV4_INSIDE = [IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")]


class Refused(ValueError):
    """A URL is not one that may be called; `code` says why, for programs."""

    code = "invalid_url"


class NotAllowed(Refused):
    """A host leads to where callers may not send us."""

    code = "address_not_allowed"


class Unresolvable(Exception):
    """Nobody says, at the moment, which addresses a host has."""


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A URL, taken apart. The host is a name or an address, without brackets."""

    scheme: str
    host: str
    port: int
    target: str
    """The path and the query, as they are sent."""


def read_url(url: str) -> Destination:
    """Take a URL apart; raise Refused for what is not plainly one of HTTP."""
    if len(url) > MAX_URL_LENGTH:
        raise Refused(f"A URL has at most {MAX_URL_LENGTH} characters.")
    if not WRITABLE.fullmatch(url) or "\\" in url:
        raise Refused("A URL has visible ASCII only: write others as %20, and a host as xn--….")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused("It is not a URL that can be read.") from error
    if parts.scheme not in PORTS:
        raise Refused("A URL begins with https:// or http://.")
    if "@" in parts.netloc:
        raise Refused("Leave the user and the password out of the URL.")
    if parts.fragment or url.endswith("#"):
        raise Refused("Leave out # and what follows: it is never sent.")
    host = parts.hostname or ""
    if not HOST.fullmatch(host) or port == 0:
        raise Refused("It does not name a host that can be called.")
    return Destination(
        scheme=parts.scheme,
        host=host,
        port=port or PORTS[parts.scheme],
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def addresses_of(destination: Destination, *, within: float = RESOLVE_SECONDS) -> list[Address]:
    """Resolve a host; raise NotAllowed if one of its addresses is not for everybody.

    One alone is enough: who answers with a public address and a private one waits for us to take
    the other. Raise Unresolvable without an answer within so many seconds.
    """
    found = [without_scope(text) for text in resolve(destination, within=within)]
    if not all(map(is_allowed, found)):
        raise NotAllowed(
            f"{destination.host} leads to an address that is not public. The setting "
            "OUTGOING_PRIVATE_ADDRESSES opens those of a network of one's own."
        )
    return found


def is_allowed(address: Address) -> bool:
    """Tell whether we may be sent to an address."""
    address = inner(address)
    opened: Sequence[Network] = settings.OUTGOING_PRIVATE_ADDRESSES
    if address in METADATA:  # which a whole network opens by accident
        return any(
            address in network and network.prefixlen == address.max_prefixlen for network in opened
        )
    return is_public(address) or any(address in network for network in opened)


def is_public(address: Address) -> bool:
    """Tell whether an address is one that everybody on the Internet can call."""
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return address.is_global and not any(address in network for network in SPECIAL)


def inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address has inside; any other as it is."""
    if any(address in network for network in WITH_IPV4_INSIDE):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def without_scope(text: str) -> Address:
    """Read an address as the system writes it: of fe80::1%eth0, without the interface."""
    return ip_address(text.partition("%")[0])


def resolve(destination: Destination, *, within: float) -> list[str]:
    """Ask the system for the addresses of a host; raise Unresolvable.

    In a thread, since it may take minutes and has no time limit of its own.
    """
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(look_up(destination.host, destination.port))
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that is too long
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    Thread(target=ask, daemon=True, name="resolver").start()
    try:
        answer = answers.get(timeout=max(within, 0.001))
    except Empty:
        answer = TimeoutError("timed out")
    if isinstance(answer, OSError) or not answer:
        raise Unresolvable(f"The host {destination.host} could not be resolved.")
    return answer


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, each once, those that are to be tried first in front."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
