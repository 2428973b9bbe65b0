"""The outbound client against a real server."""

import ssl
import subprocess
import threading
import time
from ipaddress import ip_network

import pytest

from scheduler_api.outbound import address_guard, client
from scheduler_api.outbound.address_guard import AddressNotAllowed
from scheduler_api.outbound.client import RequestNotSent, send
from tests.webhooks.receiver import Receiver


@pytest.fixture(autouse=True)
def _loopback_is_open(settings):
    settings.OUTGOING_PRIVATE_ADDRESSES = [ip_network("127.0.0.0/8")]


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def post(url, *, timeout_seconds=10.0, **options):
    return send("POST", url, headers={}, body=b"{}", timeout_seconds=timeout_seconds, **options)


def test_request_is_sent_and_response_returned(receiver):
    receiver.answers, receiver.body = [201], b"done"

    answer = send(
        "PUT",
        f"{receiver.url}?a=b",
        headers={"X-Own": "yes"},
        body=b"hello",
        timeout_seconds=10,
        max_response_bytes=100,
    )

    [request] = receiver.received
    assert (request.method, request.path, request.body) == ("PUT", "/hook?a=b", b"hello")
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["x-own"] == "yes"
    assert request.headers["user-agent"] == "scheduler-api"
    assert (answer.status, answer.body, answer.is_truncated) == (201, b"done", False)


def test_response_body_is_read_up_to_the_limit(receiver):
    receiver.body = b"x" * 100_000
    receiver.answers = [200]

    answer = post(receiver.url, max_response_bytes=10)

    assert (answer.body, answer.is_truncated) == (b"x" * 10, True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(receiver, status):
    with Receiver() as other:
        receiver.answers, receiver.headers = [status], {"Location": other.url}

        assert post(receiver.url).status == status

    assert len(receiver.received) == 1
    assert not other.received


def test_proxies_of_the_environment_are_ignored(receiver, monkeypatch):
    with Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert post(receiver.url).status == 204

    assert not proxy.received


# --- Checked addresses ------------------------------------------------------------------------


def test_connection_goes_to_the_checked_address(receiver, monkeypatch, settings):
    """A host that resolves to another address the second time is resolved once."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    asked = []

    def look_up(host, port):
        asked.append(host)
        return next(answers)

    monkeypatch.setattr(address_guard, "look_up", look_up)

    assert post(f"http://rebinding.example:{receiver.port}/").status == 204
    assert asked == ["rebinding.example"]
    assert receiver.received[0].headers["host"] == f"rebinding.example:{receiver.port}"


def test_request_to_a_rebound_private_address_is_not_sent(receiver, monkeypatch, settings):
    settings.OUTGOING_PRIVATE_ADDRESSES = []
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["127.0.0.1"])

    with pytest.raises(AddressNotAllowed):
        post(f"http://rebinding.example:{receiver.port}/")

    assert not receiver.received


def test_unreachable_address_falls_back_to_the_next(receiver, monkeypatch):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["127.0.0.99", "127.0.0.1"])

    assert post(f"http://two.example:{receiver.port}/").status == 204


def test_refused_connection_raises_request_not_sent():
    with Receiver() as gone:
        url = gone.url

    with pytest.raises(RequestNotSent, match=r"The connection failed: Connection refused\."):
        post(url)


def test_unknown_host_raises_request_not_sent(monkeypatch):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: [])

    with pytest.raises(RequestNotSent, match=r"The host nowhere\.example could not be resolved\."):
        post("http://nowhere.example/")


# --- Timeouts ---------------------------------------------------------------------------------


def test_silent_server_times_out(receiver):
    receiver.hold = threading.Event()

    with pytest.raises(RequestNotSent, match=r"There was no response within 0\.3 s\."):
        post(receiver.url, timeout_seconds=0.3)


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_server_sending_byte_by_byte_times_out(receiver, first):
    """Slow headers and slow bodies: a socket's timeout applies to each byte."""
    ended = threading.Event()

    def drip(file):
        file.write(first)
        while not ended.wait(0.02):
            file.write(b"x")

    receiver.raw = drip
    began = time.monotonic()

    with pytest.raises(RequestNotSent, match="no response within"):
        post(receiver.url, timeout_seconds=0.5, max_response_bytes=100_000)

    ended.set()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("text", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 OK\r\n\r\n"])
def test_response_that_is_not_http_raises_request_not_sent(receiver, text):
    receiver.raw = lambda file: file.write(text)

    with pytest.raises(RequestNotSent):
        post(receiver.url)


# --- HTTPS ------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate of secure.example, and its key."""
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=secure.example",
         "-addext", "subjectAltName=DNS:secure.example",
         "-out", str(paths[0]), "-keyout", str(paths[1])],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return paths


@pytest.fixture
def secure(receiver, certificate, monkeypatch):
    """The receiver behind TLS, with a trusted certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = receiver.server
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    monkeypatch.setattr(client, "tls_context", lambda: trusting)
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["127.0.0.1"])
    return receiver


def test_certificate_is_checked_against_the_host_name(secure):
    assert post(f"https://secure.example:{secure.port}/").status == 204


def test_certificate_of_another_host_is_refused(secure):
    with pytest.raises(
        RequestNotSent, match=r"certificate of the host is not valid.*other\.example"
    ):
        post(f"https://other.example:{secure.port}/")

    assert not secure.received


def test_self_signed_certificate_is_refused(secure, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(RequestNotSent):
        post(f"https://127.0.0.1:{secure.port}/")

    assert not secure.received
