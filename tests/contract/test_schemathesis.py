"""Schemathesis makes requests out of openapi.yaml, and finds nothing wrong with the answers.

It sends requests that fit the document and others that do not, each by itself and one after the
other, to the running API, and holds every answer to the document. schemathesis.toml says how it
runs, fuzzing.py what it is told beyond the document. `FUZZ_SEED` makes other requests.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.contract.document import OPERATIONS
from tests.journeys.conftest import postgres_database  # noqa: F401 - a fixture
from tests.journeys.service import Api

HERE = Path(__file__).parent
SEED = int(os.environ.get("FUZZ_SEED", "1"))
# Where a seed is given there is time: on PostgreSQL, too, and in longer stories.
further = pytest.mark.skipif(
    "FUZZ_SEED" not in os.environ, reason="takes minutes: set FUZZ_SEED, to any number, for it"
)

# All that is stored, but for how many failures to authenticate were counted.
DUMP = (
    *("dumpdata", "scheduler_api", "django_celery_beat"),
    "--exclude=scheduler_api.ratelimitwindow",
)

# For a machine that is busy with other things; by itself, a run takes a tenth of it.
pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request, and the status that it was answered with."""

    method: str
    path: str
    address: str
    key: str
    status: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """What Schemathesis has told of a run."""

    code: int
    output: str
    report: Path

    @cached_property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """The name of each event, and what belongs to it."""
        lines = self.report.read_text().splitlines()
        return [next(iter(json.loads(line).items())) for line in lines]

    @property
    def phases(self) -> set[str]:
        """The phases that have come to a good end."""
        return {
            event["phase"]["name"]
            for name, event in self.events
            if name == "PhaseFinished" and event["status"] == "success"
        }

    @property
    def scenarios(self) -> list[dict[str, Any]]:
        """What was recorded: cases, their exchanges, and checks."""
        return [event["recorder"] for name, event in self.events if name == "ScenarioFinished"]

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The checks that did not pass."""
        return [
            check
            for scenario in self.scenarios
            for checks in scenario.get("checks", {}).values()
            for check in checks
            if check["status"] != "success"
        ]

    @property
    def exchanges(self) -> list[Exchange]:
        """All that was sent, and how it was answered."""
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


# A fuzzer is in a hurry.
LIMITS = dict.fromkeys(("RATE_LIMIT", "FAILED_AUTHENTICATION_LIMIT"), "1000000")


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Api]:
    with Api(tmp_path, **LIMITS) as api:
        yield api


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_database: str) -> Iterator[Api]:  # noqa: F811
    with Api(tmp_path, DATABASE_URL=postgres_database, **LIMITS) as api:
        yield api


@pytest.fixture(params=["on_sqlite", pytest.param("on_postgres", marks=further)])
def api(request: pytest.FixtureRequest) -> Api:
    """Run the API alone, so that what the fuzzer defines is sent to no worker."""
    running: Api = request.getfixturevalue(request.param)
    running.manage("loaddata", str(HERE / "run.json"))
    return running


def fuzz(api: Api, *options: str, key: str = "", seed: int = SEED) -> Run:
    """Run Schemathesis with all checks and, unless the options say otherwise, in all phases."""
    folder = api.output_file.parent
    report = folder / "report.ndjson"
    header = ["--header", f"Authorization: {key}"] if key else []
    done = subprocess.run(
        [
            *(Path(sys.executable).parent / "st", "--config-file", HERE / "schemathesis.toml"),
            *("run", f"{api.address}/openapi.yaml", "--seed", str(seed), "--no-color"),
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


def test_nothing_is_found(api: Api) -> None:
    key = f"Bearer {api.key_file.read_text().strip()}"

    run = fuzz(api, key=key)

    assert (run.code, run.failures) == (0, []), run.output
    assert run.phases >= {"examples", "coverage", "fuzzing", "stateful"}
    sent = [exchange for exchange in run.exchanges if exchange.key == key]
    assert len(sent) >= 2000
    assert not [exchange for exchange in sent if exchange.status == 401]
    succeeded = {(exchange.method, exchange.path) for exchange in sent if exchange.status < 300}
    assert {(operation.method, operation.path) for operation in OPERATIONS} == succeeded


@further
@pytest.mark.parametrize("seed", [SEED + 1, SEED + 2])
def test_nothing_is_found_in_longer_stories(on_sqlite: Api, seed: int) -> None:
    key = f"Bearer {on_sqlite.key_file.read_text().strip()}"

    run = fuzz(on_sqlite, "--phases", "stateful", key=key, seed=seed)

    assert (run.code, run.failures) == (0, []), run.output
    assert len(run.exchanges) >= 100


def test_without_a_key_all_is_refused(on_sqlite: Api) -> None:
    stored = on_sqlite.manage(*DUMP)

    run = fuzz(on_sqlite)

    assert (run.code, run.failures) == (0, []), run.output
    assert len(run.exchanges) >= 2000
    assert [exchange for exchange in run.exchanges if exchange.status != 401] == []
    assert on_sqlite.manage(*DUMP) == stored
