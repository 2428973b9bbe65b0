"""The address guard: allowed and refused destinations."""

import socket
import time
from ipaddress import ip_address, ip_network

import pytest

from project.environment import PRIVATE
from scheduler_api.outbound import address_guard
from scheduler_api.outbound.address_guard import (
    MAX_URL_LENGTH,
    AddressNotAllowed,
    AddressRefused,
    Unresolvable,
    addresses_of,
    is_allowed,
    parse_url,
)

NOT_FOR_EVERYBODY = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.255.255",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.fixture(autouse=True)
def _as_by_default(settings):
    settings.OUTGOING_PRIVATE_ADDRESSES = []


def leads_to(monkeypatch, *addresses):
    """Resolve each host to these addresses."""
    asked = []

    def look_up(host, port):
        asked.append(host)
        return list(addresses)

    monkeypatch.setattr(address_guard, "look_up", look_up)
    return asked


# --- Addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NOT_FOR_EVERYBODY)
def test_address_that_is_not_public_is_refused(text):
    assert not is_allowed(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_address_is_allowed(text):
    assert is_allowed(ip_address(text))


@pytest.mark.parametrize("text", NOT_FOR_EVERYBODY)
def test_allow_opens_private_networks_but_not_link_local_or_metadata(settings, text):
    settings.OUTGOING_PRIVATE_ADDRESSES = [ip_network(network) for network in PRIVATE]

    opened = {
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::127.0.0.1",
        "fc00::1",
    }
    assert is_allowed(ip_address(text)) is (text in opened)


def test_named_networks_are_allowed_and_no_others(settings):
    settings.OUTGOING_PRIVATE_ADDRESSES = [ip_network("10.1.0.0/16")]

    assert is_allowed(ip_address("10.1.2.3"))
    assert not is_allowed(ip_address("10.2.0.1"))


@pytest.mark.parametrize(
    ("network", "is_open"), [("169.254.0.0/16", False), ("169.254.169.254", True)]
)
def test_metadata_address_is_allowed_by_its_own_entry_only(settings, network, is_open):
    settings.OUTGOING_PRIVATE_ADDRESSES = [ip_network(network)]

    assert is_allowed(ip_address("169.254.169.254")) is is_open


# --- URLs -------------------------------------------------------------------------------------


def test_url_is_parsed_into_its_parts():
    destination = parse_url("https://hooks.example.com:8443/a/b?c=d&e")

    assert (destination.scheme, destination.host, destination.port) == (
        "https",
        "hooks.example.com",
        8443,
    )
    assert destination.target == "/a/b?c=d&e"


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("http://example.com", "example.com", 80, "/"),
        ("https://example.com", "example.com", 443, "/"),
        ("HTTPS://EXAMPLE.com/", "example.com", 443, "/"),
        ("https://example.com?a=b", "example.com", 443, "/?a=b"),
        ("https://[2606:4700::1111]:8443/x", "2606:4700::1111", 8443, "/x"),
    ],
)
def test_url_without_port_or_path_gets_defaults(url, host, port, target):
    destination = parse_url(url)

    assert (destination.host, destination.port, destination.target) == (host, port, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com/#part",
        "https://example.com/#",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:port/",
        "https://exa mple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nHost: other",
        "https://example.com\\@other.example/",
        "https://bücher.example/",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://exam%70le.com/",
        f"https://example.com/{'x' * MAX_URL_LENGTH}",
    ],
)
def test_unusual_url_is_refused(url):
    with pytest.raises(AddressRefused) as refused:
        parse_url(url)

    assert refused.value.code == "invalid_url"


# --- Names ------------------------------------------------------------------------------------


def test_host_is_resolved_once(monkeypatch):
    asked = leads_to(monkeypatch, "8.8.8.8", "2606:4700::1111")

    found = addresses_of(parse_url("https://example.com/"))

    assert [str(address) for address in found] == ["8.8.8.8", "2606:4700::1111"]
    assert asked == ["example.com"]


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("fe80::1%eth0",)])
def test_host_with_one_private_address_is_refused(monkeypatch, addresses):
    leads_to(monkeypatch, *addresses)

    with pytest.raises(AddressNotAllowed) as refused:
        addresses_of(parse_url("https://intranet.example/"))

    assert refused.value.code == "address_not_allowed"
    # The refusal discloses no resolved address.
    assert not any(address in str(refused.value) for address in addresses)


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "[::1]", "0"])
def test_loopback_in_any_notation_is_refused(host):
    with pytest.raises(AddressNotAllowed):
        addresses_of(parse_url(f"http://{host}/"))


def test_unknown_host_is_unresolvable(monkeypatch):
    def look_up(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(address_guard, "look_up", look_up)

    with pytest.raises(Unresolvable, match=r"nowhere\.example"):
        addresses_of(parse_url("https://nowhere.example/"))


def test_slow_resolver_times_out(monkeypatch):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: time.sleep(2) or [])
    began = time.monotonic()

    with pytest.raises(Unresolvable):
        addresses_of(parse_url("https://slow.example/"), timeout_seconds=0.05)

    assert time.monotonic() - began < 2


def test_host_with_a_long_label_is_unresolvable():
    with pytest.raises(Unresolvable):
        addresses_of(parse_url(f"https://{'x' * 70}.example/"))
