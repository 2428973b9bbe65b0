"""Redocly's lint has nothing to say about openapi.yaml, not even a warning."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services import skip_or_fail

ROOT = Path(__file__).parents[2]
# The last line of versions that runs on Node 18, which Debian 12 has.
REDOCLY = "@redocly/cli@1.34.20"
NPX_SECONDS = 300
QUIETLY = {
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    "npm_config_fetch_retries": "1",
}


@pytest.fixture(scope="module")
def redocly() -> list[str]:
    """The command, installed by npx at its first use."""
    npx = shutil.which("npx")
    if not npx:
        skip_or_fail("npx is not installed: it comes with Node.js")
    command = [str(npx), "--yes", REDOCLY]
    try:
        run([*command, "--version"]).check_returncode()
    except subprocess.TimeoutExpired as error:
        skip_or_fail(str(error))
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        skip_or_fail(f"npx cannot run {REDOCLY}: {reason[:500]}")
    return command


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **QUIETLY},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=NPX_SECONDS,
        check=False,
    )


@pytest.mark.timeout(2 * NPX_SECONDS)
def test_redocly_finds_no_problem(redocly: list[str]):
    result = run([*redocly, "lint", "--format=json", "openapi.yaml"])

    report = json.loads(result.stdout)
    problems = [f"{problem['ruleId']}: {problem['message']}" for problem in report["problems"]]
    assert problems == []
    assert report["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


@pytest.mark.timeout(2 * NPX_SECONDS)
def test_redocly_finds_a_planted_problem(redocly: list[str], tmp_path: Path):
    broken = tmp_path / "openapi.yaml"
    broken.write_text((ROOT / "openapi.yaml").read_text().replace("operationId: ", "x-id: "))

    result = run([*redocly, "lint", "--config=redocly.yaml", "--format=json", str(broken)])

    assert "operation-operationId" in result.stdout
    assert result.returncode == 1
