"""A generated TypeScript client works with a running service, and takes every documented body."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.document import SCHEMAS
from tests.journeys.service import ROOT, Service
from tests.services import skip_or_fail

# TypeScript 7 has no compiler API in JavaScript, which openapi-typescript needs.
PACKAGES = ("openapi-fetch@0.17.0", "openapi-typescript@7.13.0", "typescript@5.9.3")
INSTALL_SECONDS = 300
COMPILE = ("tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom")
# A body that README sends.
BODY = re.compile(
    r"""curl [^|]*?"\$api/(periodic-tasks|schedules/preview)/" .*?-d '(\{.*?\})'""", re.DOTALL
)
SCHEMA_OF = {"periodic-tasks": "PeriodicTaskRequest", "schedules/preview": "PreviewRequest"}


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with the packages and the generated types; return its folder."""
    if not shutil.which("npm"):
        skip_or_fail("npm is not installed: it comes with Node.js")
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "package.json").write_text('{"type": "module"}')
    try:
        installed = run(folder, "npm", "install", "--no-audit", "--no-fund", *PACKAGES)
    except subprocess.TimeoutExpired as error:
        skip_or_fail(str(error))
    if installed.returncode:
        skip_or_fail(f"npm cannot install {', '.join(PACKAGES)}: {installed.stderr[-500:]}")
    generated = run(
        folder,
        *("npx", "openapi-typescript", str(ROOT / "openapi.yaml")),
        *("--output", "scheduler_api.ts"),
    )
    assert generated.returncode == 0, generated.stderr
    assert "warn" not in (generated.stdout + generated.stderr).lower()
    return folder


def compiled(project: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Compile a source file into JavaScript, as strictly as the compiler can."""
    return run(project, "npx", *COMPILE, source)


def documented_bodies() -> Iterator[tuple[str, Any]]:
    """Yield the name of a schema and a body: each example of a request, and README's bodies."""
    for name, schema in SCHEMAS.items():
        if name.endswith("Request"):
            yield from ((name, example) for example in schema.get("examples", ()))
    for collection, body in BODY.findall((ROOT / "README.md").read_text()):
        yield SCHEMA_OF[collection], json.loads(re.sub(r"'\$\w+'", "1", body))


@pytest.mark.timeout(2 * INSTALL_SECONDS)
def test_type_of_a_request_takes_every_documented_body(project: Path) -> None:
    bodies = list(documented_bodies())
    lines = [
        f'export const body{number}: components["schemas"]["{name}"] = {json.dumps(body)};'
        for number, (name, body) in enumerate(bodies)
    ]
    text = 'import type { components } from "./scheduler_api.js";\n' + "\n".join(lines)
    (project / "bodies.ts").write_text(text)

    done = compiled(project, "bodies.ts")

    assert {"PeriodicTaskRequest", "PreviewRequest"} <= {name for name, _ in bodies}
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(2 * INSTALL_SECONDS)
def test_type_of_a_request_refuses_what_the_api_refuses(project: Path) -> None:
    text = """
        import type { components } from "./scheduler_api.js";
        type Request = components["schemas"]["PeriodicTaskRequest"];
        export const withoutTask: Request = { name: "Total" };
        export const ofWrongType: Request = { name: "Total", task: 7 };
        export const ofNoKind: Request = { name: "Total", task: "t", schedule: { every: 1 } };
    """
    (project / "refused.ts").write_text(text)

    done = compiled(project, "refused.ts")

    mistakes = re.findall(r"refused\.ts\((\d+),", done.stdout)
    assert set(mistakes) == {"4", "5", "6"}, done.stdout


@pytest.mark.timeout(2 * INSTALL_SECONDS)
def test_example_of_the_client_prints_the_expected_output(
    embedded: Service, project: Path
) -> None:
    shutil.copy(ROOT / "examples" / "typescript_client.ts", project)
    made = compiled(project, "typescript_client.ts")
    assert made.returncode == 0, made.stdout
    failed = embedded.call("GET", "/api/v1/runs/?state=failed,lost")[1]["results"]

    done = run(
        project,
        *("node", "typescript_client.js"),
        SCHEDULER_URL=embedded.address,
        SCHEDULER_KEY=embedded.key_file.read_text().strip(),
    )

    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first.startswith("Hourly total next runs at 20")
    assert others[:2] == ["succeeded: 42", f"{len(failed)} runs failed"]
    assert others[2].startswith("validation_failed: /args/0: ")
