"""What the tests need from the machine does not depend on the shell that starts them."""

import signal
import sys
from pathlib import Path

import pytest

from tests import services
from tests.journeys.service import Service
from tests.processes import Processes

HANDLER = "import signal; print(signal.getsignal(signal.SIGINT))"


@pytest.fixture
def _sigint_ignored():
    """Ignore SIGINT, as in a background job of a shell."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_sigint_ignored")
def test_started_process_can_be_interrupted(processes: Processes):
    started = processes.start("-c", HANDLER)

    assert started.exit_code() == 0
    assert "default_int_handler" in started.output()


@pytest.mark.usefixtures("_sigint_ignored")
def test_service_can_be_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Service, "command", ("-c", HANDLER))
    monkeypatch.setattr(Service, "is_ready", lambda service: bool(service.process.wait(20) == 0))
    service = Service(tmp_path)

    service.__enter__()

    assert "default_int_handler" in service.output()


@pytest.mark.parametrize("named", ["", "/no/such/browser", sys.executable])
def test_browser_is_one_that_exists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str):
    installed = tmp_path / "chromium"
    installed.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TEST_CHROMIUM", named)

    expected = named if named == sys.executable else str(installed)
    assert services.find_chromium() == expected


def test_missing_browser_is_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TEST_CHROMIUM", "/no/such/browser")

    assert services.find_chromium() == ""
