"""The embedded broker, under a writer and a reader that never rest."""

import threading
import time
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

from project.embedded.broker import RETURN_DELAY_NS

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


@pytest.mark.parametrize("reader", ["ours", "stock"])
def test_returned_message_is_left_to_other_programs_first(
    broker: Connection, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    stock = Connection(
        transport="kombu.transport.filesystem:Transport",
        transport_options=broker.transport_options,
    )
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    with broker, stock:
        ours = broker.default_channel
        info = {"exchange": "", "routing_key": "queue"}
        payload = ours.prepare_message("first", properties={"delivery_info": info})
        payload["properties"] |= {"delivery_tag": "1", "delivery_info": info}

        ours._restore(ours.message_to_python(payload))

        if reader == "ours":
            with pytest.raises(Empty):
                ours._get("queue")
            monkeypatch.setattr(time, "time_ns", lambda: now + RETURN_DELAY_NS)
        channel = ours if reader == "ours" else stock.default_channel
        assert channel._get("queue")["properties"]["delivery_tag"] == "1"
