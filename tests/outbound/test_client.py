"""Requests of ours, to a real server."""

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


def test_a_request_is_sent_and_answered(receiver):
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


def test_no_more_is_read_than_was_asked_for(receiver):
    receiver.body = b"x" * 100_000
    receiver.answers = [200]

    answer = post(receiver.url, max_response_bytes=10)

    assert (answer.body, answer.is_truncated) == (b"x" * 10, True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver, status):
    with Receiver() as other:
        receiver.answers, receiver.headers = [status], {"Location": other.url}

        assert post(receiver.url).status == status

    assert len(receiver.received) == 1
    assert not other.received


def test_proxies_of_the_environment_are_not_used(receiver, monkeypatch):
    with Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert post(receiver.url).status == 204

    assert not proxy.received


# --- To the checked address -------------------------------------------------------------------


def test_the_address_that_was_checked_is_the_one_connected_to(receiver, monkeypatch, settings):
    """A name that leads elsewhere the second time is asked for once."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    asked = []

    def look_up(host, port):
        asked.append(host)
        return next(answers)

    monkeypatch.setattr(address_guard, "look_up", look_up)

    assert post(f"http://rebinding.example:{receiver.port}/").status == 204
    assert asked == ["rebinding.example"]
    assert receiver.received[0].headers["host"] == f"rebinding.example:{receiver.port}"


def test_nothing_is_sent_once_a_name_leads_to_a_private_address(receiver, monkeypatch, settings):
    settings.OUTGOING_PRIVATE_ADDRESSES = []
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["127.0.0.1"])

    with pytest.raises(AddressNotAllowed):
        post(f"http://rebinding.example:{receiver.port}/")

    assert not receiver.received


def test_the_next_address_is_tried_where_one_does_not_answer(receiver, monkeypatch):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: ["127.0.0.99", "127.0.0.1"])

    assert post(f"http://two.example:{receiver.port}/").status == 204


def test_a_port_where_nobody_listens_is_no_answer():
    with Receiver() as gone:
        url = gone.url

    with pytest.raises(RequestNotSent, match=r"The connection failed: Connection refused\."):
        post(url)


def test_a_name_that_is_not_known_is_no_answer(monkeypatch):
    monkeypatch.setattr(address_guard, "look_up", lambda host, port: [])

    with pytest.raises(RequestNotSent, match=r"The host nowhere\.example could not be resolved\."):
        post("http://nowhere.example/")


# --- In time ----------------------------------------------------------------------------------


def test_who_does_not_answer_is_not_waited_for(receiver):
    receiver.hold = threading.Event()

    with pytest.raises(RequestNotSent, match=r"There was no response within 0\.3 s\."):
        post(receiver.url, timeout_seconds=0.3)


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_who_answers_byte_by_byte_is_late(receiver, first):
    """In the headers, and in the body: a time limit of the socket is one for each byte."""
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
def test_what_is_no_http_is_no_answer(receiver, text):
    receiver.raw = lambda file: file.write(text)

    with pytest.raises(RequestNotSent):
        post(receiver.url)


# --- Over HTTPS -------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    """A certificate of secure.example, signed by itself, and its key."""
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
    """The receiver behind TLS, whose certificate is trusted."""
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


def test_the_certificate_is_that_of_the_name_and_not_of_the_address(secure):
    assert post(f"https://secure.example:{secure.port}/").status == 204


def test_a_certificate_of_another_name_is_refused(secure):
    with pytest.raises(
        RequestNotSent, match=r"certificate of the host is not valid.*other\.example"
    ):
        post(f"https://other.example:{secure.port}/")

    assert not secure.received


def test_a_certificate_that_nobody_has_signed_is_refused(secure, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(RequestNotSent):
        post(f"https://127.0.0.1:{secure.port}/")

    assert not secure.received
