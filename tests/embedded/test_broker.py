"""The embedded broker, under a writer and a reader that never rest."""

import threading
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

MESSAGES = 500
LARGE = "x" * 100_000


@pytest.fixture
def broker(tmp_path: Path) -> Connection:
    """Return a connection to a broker of the test's own."""
    for name in ("messages", "processed"):
        (tmp_path / name).mkdir()
    return Connection(
        transport="filesystem",
        transport_options={
            "data_folder_in": str(tmp_path / "messages"),
            "data_folder_out": str(tmp_path / "messages"),
            "processed_folder": str(tmp_path / "processed"),
            "control_folder": str(tmp_path / "exchanges"),
        },
    )


def test_no_message_is_read_before_it_is_whole(broker: Connection) -> None:
    # kombu's own channel loses some of these: the reader finds a file without its end.
    def write() -> None:
        with broker.clone() as connection:
            for number in range(MESSAGES):
                connection.default_channel._put("queue", {"number": number, "body": LARGE})

    writer = threading.Thread(target=write)
    writer.start()
    numbers = []
    with broker.clone() as connection:
        while len(numbers) < MESSAGES:
            all_is_written = not writer.is_alive()
            try:
                numbers.append(connection.default_channel._get("queue")["number"])
            except Empty:
                assert not all_is_written, f"{MESSAGES - len(numbers)} messages are lost"
    writer.join()

    assert numbers == list(range(MESSAGES))


def test_the_folder_is_left_empty(broker: Connection, tmp_path: Path) -> None:
    with broker.clone() as connection:
        connection.default_channel._put("queue", {"number": 1})
        connection.default_channel._get("queue")

    assert list((tmp_path / "messages").iterdir()) == []
