"""gunicorn's processes with our worker: threads, probes, stop and reload."""

import signal
import socket
from collections.abc import Iterator

import pytest

from tests.processes import Processes, Started, wait_until
from tests.server.sockets import Answer, answers_in, connect, exchange, receive_all

HANG = b"GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
def gunicorn(processes: Processes) -> Started:
    """One process of two threads, and at most ten connections."""
    return start(processes)


def start(processes: Processes, **environ: str) -> Started:
    bounds = {"API_PROCESSES": "1", "API_THREADS": "2", "API_CONNECTIONS": "10"}
    started = processes.start("-m", "gunicorn", "tests.server.application", **bounds, **environ)
    wait_until(processes.answers, why=started.output)
    return started


@pytest.fixture
def hanging(processes: Processes, gunicorn: Started) -> Iterator[list[socket.socket]]:
    """Open requests: two that hang, and three that wait for a thread."""
    clients = [connect(processes.port) for _ in range(5)]
    for client in clients:
        client.sendall(HANG)
    # After the first answer all five are accepted, after the second one they are read.
    assert [get(processes, "/healthz").status for _ in range(2)] == [200, 200]
    yield clients
    for client in clients:
        client.close()
    release(processes)


def release(processes: Processes) -> None:
    (processes.data_dir / "release").touch()


def get(processes: Processes, path: str, head: str = "") -> Answer:
    data = f"GET {path} HTTP/1.1\r\nHost: h\r\n{head}\r\n".encode()
    (answer,) = answers_in(exchange(processes.port, data))
    return answer


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probe_is_answered_while_all_threads_hang(processes, hanging, path):
    assert get(processes, path).status == 200


def test_request_is_refused_while_too_many_wait_for_a_thread(processes, hanging):
    answer = get(processes, "/x", "X-Request-Id: mine\r\n")

    assert (answer.status, answer.json["code"]) == (503, "overloaded")
    assert answer.json["instance"] == "/x"
    assert answer.headers["x-request-id"] == answer.json["request_id"] == "mine"
    assert answer.headers["retry-after"] == "1"


def test_request_that_waits_too_long_for_a_thread_is_refused(processes):
    start(processes, WAIT_SECONDS="0.5")
    clients = [connect(processes.port) for _ in range(3)]
    for client in clients:
        client.sendall(HANG)
        client.settimeout(0.5)

    # Two hang, whichever came first; the third is refused and its connection closed.
    wait_until(lambda: any(map(is_answered, clients)))
    release(processes)

    statuses = []
    for client in clients:
        client.settimeout(20)
        client.shutdown(socket.SHUT_WR)
        statuses += [answer.status for answer in answers_in(receive_all(client))]
        client.close()
    assert sorted(statuses) == [200, 200, 503]


def is_answered(client: socket.socket) -> bool:
    """Return whether an answer comes within a moment."""
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False


def test_open_requests_are_answered_before_a_stop(processes, gunicorn, hanging):
    gunicorn.process.send_signal(signal.SIGTERM)
    gunicorn.says("Handling signal: term")
    release(processes)

    for client in hanging:
        (answer,) = answers_in(receive_all(client))
        assert (answer.status, answer.body) == (200, b"empty")
    assert gunicorn.exit_code() == 0


def test_idle_connections_do_not_delay_a_stop(processes, gunicorn):
    with connect(processes.port) as silent, connect(processes.port) as half:
        half.sendall(HANG[:10])

        gunicorn.process.send_signal(signal.SIGTERM)

        assert gunicorn.exit_code(within=8) == 0
        assert receive_all(silent) == b""


def test_reload_loses_no_request(processes, gunicorn):
    gunicorn.process.send_signal(signal.SIGHUP)

    def reloaded() -> bool:
        assert get(processes, "/x").status == 200
        return gunicorn.output().count("Booting worker") == 2

    wait_until(reloaded, why=gunicorn.output)
    wait_until(lambda: get(processes, "/x").status and "Worker exiting" in gunicorn.output())


@pytest.mark.parametrize("path", ["/fail", "/late"])
def test_failure_of_the_application_is_a_problem(processes, gunicorn, path):
    answer = get(processes, path)

    assert (answer.status, answer.json["code"]) == (500, "server_error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert f"GET {path} failed request_id={answer.json['request_id']}" in gunicorn.output()
    assert "RuntimeError: The application fails" in gunicorn.output()


def test_body_arrives_whole(processes, gunicorn):
    body = bytes(range(256)) * 4000
    head = f"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    (answer,) = answers_in(exchange(processes.port, head + body))

    assert answer.body == body


def test_caller_cannot_set_the_script_name(processes, gunicorn):
    assert get(processes, "/x/y", "SCRIPT_NAME: /x\r\n").body == b"empty"
