"""Settings of outgoing requests, read from the environment."""

import pytest

from project.environment import PRIVATE, BadSetting, private_addresses, request_hosts


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("", []),
        ("refuse", []),
        ("Allow", PRIVATE),
        ("10.1.0.0/16, 192.168.7.1", ["10.1.0.0/16", "192.168.7.1/32"]),
        ("fd12::/16", ["fd12::/16"]),
    ],
)
def test_private_networks_are_allowed_by_setting(monkeypatch, text, networks):
    monkeypatch.setenv("OUTGOING_PRIVATE_ADDRESSES", text)

    assert [str(network) for network in private_addresses()] == networks


@pytest.mark.parametrize("text", ["everything", "10.1.2.3/8", "allow,10.0.0.0/8", "intranet"])
def test_invalid_network_stops_the_start(monkeypatch, text):
    monkeypatch.setenv("OUTGOING_PRIVATE_ADDRESSES", text)

    message = r"^OUTGOING_PRIVATE_ADDRESSES has an entry that is not a network"
    with pytest.raises(BadSetting, match=message):
        private_addresses()


def test_hosts_are_parsed(monkeypatch):
    monkeypatch.setenv("HTTP_REQUEST_HOSTS", "API.example.com, *.internal.example,10.0.0.7,::1")

    assert request_hosts() == ["api.example.com", "*.internal.example", "10.0.0.7", "::1"]


@pytest.mark.parametrize("text", ["https://api.example.com", "api.example.com:443", "*", "a.*"])
def test_invalid_host_stops_the_start(monkeypatch, text):
    monkeypatch.setenv("HTTP_REQUEST_HOSTS", text)

    with pytest.raises(BadSetting, match=r"^HTTP_REQUEST_HOSTS has"):
        request_hosts()
