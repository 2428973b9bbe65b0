"""Run the shell and Python examples of README and docs."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.journeys.service import ROOT, Service, compact, wait_for

README = (ROOT / "README.md").read_text()
# A comment above a block gives its expected effect: the name of a periodic task and the result of
# a succeeded run (`runs`), or a part of the output (`shows`).
RECIPE = re.compile(r"<!-- (runs|shows): (.+?) -->\n```sh\n(.+?)```", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A shell block, and its expected effect."""

    kind: str
    text: str
    script: str


def recipes_of(document: str) -> list[Recipe]:
    """Return the recipes of a document, in their order."""
    return [
        Recipe(kind=kind, text=text, script=script)
        for kind, text, script in RECIPE.findall(document)
    ]


RECIPES = recipes_of(README)
PAGES = [
    recipe
    for page in (
        "access.md",
        "admin.md",
        "definitions.md",
        "manifest.md",
        "production.md",
        "runs.md",
        "safe-calling.md",
        "troubleshooting.md",
        "webhooks.md",
    )
    for recipe in recipes_of((ROOT / "docs" / page).read_text())
]


[FIRST] = re.findall(r"```sh\n(api=.+?)```", README, re.DOTALL)


def test_readme_has_five_recipes_that_end_in_a_run() -> None:
    assert sum(recipe.kind == "runs" for recipe in RECIPES) == 5


def test_each_shell_block_with_a_request_is_tested() -> None:
    blocks = re.findall(r"```sh\n(.+?)```", README, re.DOTALL)

    assert {block for block in blocks if "curl" in block} == {recipe.script for recipe in RECIPES}


@pytest.mark.parametrize("recipe", RECIPES + PAGES, ids=lambda recipe: recipe.text)
def test_recipe_has_its_documented_effect(embedded: Service, recipe: Recipe) -> None:
    script = f"{FIRST}{recipe.script}"
    for written, here in (
        ("http://127.0.0.1:8000", embedded.address),
        (".data/admin.key", str(embedded.key_file)),
    ):
        script = script.replace(written, here)
    pasted = subprocess.run(
        ["bash", "-eu", "-c", script],
        env=embedded.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    if recipe.kind == "runs":
        name, _, result = recipe.text.partition(": ")
        wait_for(
            lambda: json.loads(result) in results_of(embedded, name),
            seconds=75,
            why=lambda: pasted.stdout + embedded.output(),
        )
    else:
        assert compact(recipe.text) in compact(pasted.stdout)


NAMES = re.compile(r"(Import contacts|Import%20contacts|Add up|Import once|Sleep|Oops)")


def test_recipes_that_are_pasted_at_once_have_no_traceback(embedded: Service) -> None:
    """Paste all of README's recipes into one shell, on a service that has run none of them."""
    script = FIRST.replace("http://127.0.0.1:8000", embedded.address).replace(
        ".data/admin.key", str(embedded.key_file)
    ) + "".join(recipe.script for recipe in RECIPES)

    pasted = subprocess.run(
        ["bash", "-u", "-c", NAMES.sub(r"\1-at-once", script)],
        env=embedded.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert pasted.stderr == ""
    [refusal] = re.findall(r'"code": "([a-z_]+)",\n  "request_id"', pasted.stdout)
    assert refusal == "validation_failed"
    assert '"result": "imported here and there"' in pasted.stdout
    assert pasted.stdout.endswith("}\n")


COMMAND = re.compile(
    r"(?:^|[`\s])((?:python manage\.py|celery -A project|gunicorn project)[^`\n]*)", re.MULTILINE
)


def test_commands_name_the_environment_that_make_installs() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]

    assert {
        path.name: found for path in documents if (found := COMMAND.findall(path.read_text()))
    } == {}


def results_of(service: Service, name: str) -> list[Any]:
    """Return the results of the last succeeded runs of a periodic task."""
    query = f"periodic_task_name={quote(name)}&state=succeeded&page_size=3"
    _, answer = service.call("GET", f"/api/v1/runs/?{query}")
    return [
        service.call("GET", f"/api/v1/runs/{run['id']}/")[1]["result"] for run in answer["results"]
    ]


def test_orm_recipe_runs_its_periodic_task(embedded: Service) -> None:
    [recipe] = [
        block
        for block in re.findall(r"```python\n(.+?)```", README, re.DOTALL)
        if "PeriodicTask.objects.create" in block
    ]
    quicker = recipe.replace("every=10", "every=2")

    subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", quicker],
        cwd=ROOT,
        env=embedded.environment,
        check=True,
        capture_output=True,
    )

    wait_for(
        lambda: "imported arg1 and arg2" in results_of(embedded, "Importing contacts"),
        seconds=20,
        why=embedded.output,
    )
    path = "/api/v1/periodic-tasks/?name=Importing%20contacts"
    [task] = embedded.call("GET", path)[1]["results"]
    assert task["args"] == ["arg1", "arg2"]
    assert task["kwargs"] == {"be_careful": True}
    assert task["schedule"]["description"] == "Every 2 seconds"
    assert task["expires"] is not None
