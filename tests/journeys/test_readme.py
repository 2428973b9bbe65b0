"""README and docs are held to their word: what they tell to paste is pasted, from themselves."""

import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.journeys.service import ROOT, Service, wait_for

README = (ROOT / "README.md").read_text()
# A comment above a block says what it leads to: a line in the worker's output, or in its own.
RECIPE = re.compile(r"<!-- (runs|shows): (.+?) -->\n```sh\n(.+?)```", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A block of shell, and the text that shows that it worked."""

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
        "definitions.md",
        "manifest.md",
        "runs.md",
        "safe-calling.md",
        "webhooks.md",
    )
    for recipe in recipes_of((ROOT / "docs" / page).read_text())
]


[FIRST] = re.findall(r"```sh\n(auth=.+?)```", README, re.DOTALL)


def test_there_are_five_recipes_that_end_in_a_run() -> None:
    assert sum(recipe.kind == "runs" for recipe in RECIPES) == 5


def test_each_shell_block_but_those_that_start_it_is_tested() -> None:
    blocks = re.findall(r"```sh\n(.+?)```", README, re.DOTALL)

    assert {block for block in blocks if "curl" in block} == {recipe.script for recipe in RECIPES}


@pytest.mark.parametrize("recipe", RECIPES + PAGES, ids=lambda recipe: recipe.text)
def test_a_recipe_does_what_it_says(embedded: Service, recipe: Recipe) -> None:
    seen_before = embedded.output().count(recipe.text)

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
        wait_for(
            lambda: embedded.output().count(recipe.text) > seen_before,
            seconds=75,
            why=lambda: pasted.stdout + embedded.output(),
        )
    else:
        assert recipe.text in pasted.stdout.replace('":', '": ')


def test_the_orm_recipe_is_shown_and_run(embedded: Service) -> None:
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

    called = "Importing contacts: arg1='arg1' arg2='arg2' be_careful=True"
    wait_for(lambda: called in embedded.output(), seconds=20, why=embedded.output)
    path = "/api/v1/periodic-tasks/?name=Importing%20contacts"
    [task] = embedded.call("GET", path)[1]["results"]
    assert task["args"] == ["arg1", "arg2"]
    assert task["kwargs"] == {"be_careful": True}
    assert task["schedule"]["description"] == "Every 2 seconds"
    assert task["expires"] is not None
