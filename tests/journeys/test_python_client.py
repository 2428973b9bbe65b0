"""A generated Python client works with a running service."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.document import OPERATIONS
from tests.journeys.service import ROOT, Service

GENERATE = (
    *("generate", "--path", str(ROOT / "openapi.yaml"), "--meta", "none"),
    *("--config", str(ROOT / "examples" / "python-client.yaml")),
)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Generate the client as `make client` does; return its folder, and the output."""
    programs = Path(sys.executable).parent
    folder = tmp_path_factory.mktemp("client")
    done = subprocess.run(
        [
            programs / "openapi-python-client",
            *GENERATE,
            *("--output-path", folder / "scheduler_api_client"),
        ],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout + done.stderr


def test_client_lacks_nothing_except_yaml_bodies(generated: tuple[Path, str]) -> None:
    folder, said = generated
    modules = {path.stem for path in folder.glob("scheduler_api_client/api/*/*_*.py")}

    warnings = re.findall(r"(?m)^WARNING.*\n\n(.+)$", said)
    assert warnings == ["Unsupported content type application/yaml"], said
    assert modules - {"__init__"} == {snake(operation.id) for operation in OPERATIONS}


def snake(name: str) -> str:
    """Turn `getRun` into `get_run`."""
    return re.sub("([A-Z])", r"_\1", name).lower()


def test_example_of_the_client_prints_the_expected_output(
    embedded: Service, generated: tuple[Path, str]
) -> None:
    folder, _ = generated
    failed = embedded.call("GET", "/api/v1/runs/?state=failed,lost")[1]["results"]

    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "python_client.py"],
        env={
            "PYTHONPATH": str(folder),
            "SCHEDULER_URL": embedded.address,
            "SCHEDULER_KEY": embedded.key_file.read_text().strip(),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first.startswith("Hourly sum next runs at 20")
    assert others[:2] == ["succeeded: 42", f"{len(failed)} runs failed"]
    assert others[2].startswith("validation_failed: /args/0: ")
