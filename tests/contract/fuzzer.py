"""Schemathesis generates requests from openapi.yaml and checks the answers of the running API.

The requests conform to the document or violate it, alone and in sequences. schemathesis.toml
configures the run, and fuzzing.py has the hooks. `FUZZ_SEED` generates other requests.

A run takes minutes: each module test_fuzzing_*.py has a part, so that all cores share the work.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.contract.document import OPERATIONS
from tests.journeys.service import Api

HERE = Path(__file__).parent
SEED = os.environ.get("FUZZ_SEED", "1")
# `make fuzz` tries all phases on every operation, with more examples. `make test` leaves the
# sequences of operations to test_fuzzing_stories.py.
IS_THOROUGH = "FUZZ_SEED" in os.environ
MAX_EXAMPLES = 20 if IS_THOROUGH else 5
# About half of the operations.
PERIODIC_TASKS = "^/api/v1/periodic-tasks/"
PHASES = ["examples", "coverage", "fuzzing", *(["stateful"] if IS_THOROUGH else [])]
# A request without a key is refused before its values matter, so a few of them are enough.
PHASES_WITHOUT_A_KEY = PHASES if IS_THOROUGH else ["examples", "fuzzing"]

# A run takes a tenth of this on an idle machine.
patiently = pytest.mark.timeout(1200)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request and the status of its answer."""

    method: str
    path: str
    address: str
    key: str
    status: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """The result of a run of Schemathesis."""

    code: int
    output: str
    report: Path

    @cached_property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the name and the fields of each event."""
        lines = self.report.read_text().splitlines()
        return [next(iter(json.loads(line).items())) for line in lines]

    @property
    def phases(self) -> set[str]:
        """Return the phases that succeeded."""
        return {
            event["phase"]["name"]
            for name, event in self.events
            if name == "PhaseFinished" and event["status"] == "success"
        }

    @property
    def scenarios(self) -> list[dict[str, Any]]:
        """Return the recorded scenarios: cases, exchanges and checks."""
        return [event["recorder"] for name, event in self.events if name == "ScenarioFinished"]

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Return the failed checks."""
        return [
            check
            for scenario in self.scenarios
            for checks in scenario.get("checks", {}).values()
            for check in checks
            if check["status"] != "success"
        ]

    @property
    def exchanges(self) -> list[Exchange]:
        """Return all requests with their statuses."""
        return [
            Exchange(
                method=exchange["request"]["method"].lower(),
                path=scenario["cases"][case]["value"]["path"],
                address=exchange["request"]["uri"],
                key=exchange["request"]["headers"].get("Authorization", [""])[0],
                status=exchange["response"]["status_code"],
            )
            for scenario in self.scenarios
            for case, exchange in scenario.get("interactions", {}).items()
        ]


def fuzz(
    api: Api,
    *options: str,
    phases: Sequence[str],
    key: str = "",
) -> Run:
    """Run these phases of Schemathesis with all checks."""
    folder = api.output_file.parent
    report = folder / "report.ndjson"
    header = ["--header", f"Authorization: {key}"] if key else []
    done = subprocess.run(
        [
            *(Path(sys.executable).parent / "st", "--config-file", HERE / "schemathesis.toml"),
            *("run", f"{api.address}/openapi.yaml", "--seed", SEED, "--no-color"),
            *("--max-examples", str(MAX_EXAMPLES), "--phases", ",".join(phases)),
            *("--report-ndjson-path", report, *header, *options),
        ],
        cwd=folder,
        env={
            **{name: api.environment[name] for name in ("PATH", "HOME")},
            "SCHEMATHESIS_HOOKS": str(HERE / "fuzzing.py"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(code=done.returncode, output=done.stdout + done.stderr, report=report)


def fuzz_operations(api: Api, *, of_periodic_tasks: bool) -> None:
    """Fuzz the operations of periodic tasks, or all others; expect no failure."""
    key = key_of(api)
    which = "--include-path-regex" if of_periodic_tasks else "--exclude-path-regex"

    run = fuzz(api, which, PERIODIC_TASKS, phases=PHASES, key=key)

    assert (run.code, run.failures) == (0, []), run.output
    assert run.phases >= {*PHASES}
    sent = [exchange for exchange in run.exchanges if exchange.key == key]
    assert len(sent) >= 1000
    assert not [exchange for exchange in sent if exchange.status == 401]
    succeeded = {(exchange.method, exchange.path) for exchange in sent if exchange.status < 300}
    assert succeeded == {
        (operation.method, operation.path)
        for operation in OPERATIONS
        if bool(re.search(PERIODIC_TASKS, operation.path)) is of_periodic_tasks
    }


def key_of(api: Api) -> str:
    """Return the header Authorization with the key of `admin`."""
    return f"Bearer {api.key_file.read_text().strip()}"
