"""deploy/nginx.conf, with a real nginx in front of a real server."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.processes import ROOT, Processes, wait_until
from tests.server.sockets import Answer, answers_in, connect, exchange
from tests.services import skip_or_fail

HALF_BODY = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n{"


@pytest.fixture
def configuration(processes: Processes, tmp_path: Path) -> tuple[Path, int]:
    """The file with the addresses and the folder of this test, and the port of nginx."""
    port = free_port()
    text = (ROOT / "deploy/nginx.conf").read_text()
    for old, new in {
        "server api:8000;": f"server 127.0.0.1:{processes.port};",
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "/tmp/": f"{tmp_path}/",
    }.items():
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    return file, port


@pytest.fixture
def nginx() -> str:
    path = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    return path or skip_or_fail("nginx is not installed")


@pytest.fixture
def proxy(processes: Processes, configuration: tuple[Path, int], nginx: str) -> Iterator[int]:
    """The port of nginx before an API of one process, which trusts it."""
    file, port = configuration
    environ = {"API_PROCESSES": "1", "PROXIES": "1", "FORWARDED_ALLOW_IPS": "127.0.0.1"}
    api = processes.start("-m", "gunicorn", "project.wsgi", **environ)
    wait_until(processes.answers, why=api.output)
    started = processes.start(
        *(nginx, "-c", str(file), "-e", "stderr", "-g", "daemon off;"), python=False
    )
    wait_until(lambda: is_listening(port), why=started.output)
    yield port
    started.process.terminate()
    assert started.exit_code() == 0, started.output()


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def get(port: int, path: str, *headers: str) -> Answer:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    with connect(port) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        data = b""
        while received := client.recv(65536):
            data += received
    (answer,) = answers_in(data)
    return answer


def test_nginx_accepts_the_configuration(configuration, nginx):
    file, _ = configuration

    checked = subprocess.run(
        [nginx, "-t", "-c", file, "-e", "stderr"], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr.replace("could not open error log file", "")


def test_api_behind_the_proxy_knows_the_caller_and_the_request(processes, proxy):
    answer = get(proxy, "/nothing", "X-Request-Id: mine", "X-Forwarded-For: 192.0.2.1")

    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert answer.headers["x-request-id"] == "mine"
    log = (processes.folder / "0.log").read_text()
    assert "GET /nothing 404" in log
    assert "client=127.0.0.1 request_id=mine" in log


def test_slow_bodies_do_not_reach_the_api(processes, proxy):
    clients = [connect(proxy) for _ in range(60)]
    for client in clients:
        client.sendall(HALF_BODY)

    assert get(proxy, "/healthz").status == 200
    for client in clients:
        client.close()
    assert "/x" not in (processes.folder / "0.log").read_text()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 400),
    ],
)
def test_refusal_of_the_proxy_is_a_problem(proxy, data, status):
    (answer,) = answers_in(exchange(proxy, data))

    assert (answer.status, answer.json["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "proxy_refusal"
    assert answer.headers["x-request-id"] == answer.json["request_id"]


def test_connections_over_the_bound_of_an_address_are_refused(proxy):
    clients = [connect(proxy) for _ in range(101)]
    for client in clients:
        client.sendall(HALF_BODY)

    refused = next(answer for client in clients if (answer := first_answer(client)))

    assert (refused.status, refused.json["code"]) == (503, "proxy_refusal")
    for client in clients:
        client.close()


def first_answer(client: socket.socket) -> Answer | None:
    """Return what has come within a moment."""
    client.settimeout(0.05)
    try:
        return next(iter(answers_in(client.recv(65536))), None)
    except TimeoutError:
        return None


def test_api_that_is_gone_is_a_problem(processes, proxy):
    processes.started[0].terminate()
    processes.started[0].wait()

    answer = get(proxy, "/healthz")

    assert (answer.status, answer.json["code"]) == (502, "proxy_refusal")
