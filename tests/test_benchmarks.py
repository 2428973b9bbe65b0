"""The benchmarks of beat in small: they stop where a slot is lost or sent twice.

They do not check speeds, which `make bench` measures.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "arguments",
    [
        ["dispatch", "--tasks", "1500", "--rounds", "1", "--sides", "raw", "ours, two processes"],
        ["edits", "--tasks", "20", "--edits", "5", "--idle-seconds", "0.5", "--sides", "ours"],
        ["sustained", "--rate", "50", "--seconds", "3", "--parts", "spread"],
        ["recording", "--runs", "100", "--rounds", "1", "--seconds", "0"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_each_slot_is_sent_once_and_each_run_recorded(arguments, postgres_url, rabbitmq_url):
    measured = run(arguments, DATABASE_URL=postgres_url, BROKER_URL=rabbitmq_url)

    assert measured.returncode == 0, measured.stderr
    assert "|---|" in measured.stdout


def run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{arguments[0]}", *arguments[1:]],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
