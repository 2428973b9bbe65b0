"""The tour in scheduler_api/__init__.py and CONTRIBUTING.md name files that exist."""

import re
from pathlib import Path

import pytest

import scheduler_api

ROOT = Path(__file__).parent.parent
PACKAGES = {path.parent.name for path in (ROOT / "scheduler_api").glob("*/__init__.py")}
MODULES = [
    name
    for name in re.findall(r"`(\w+(?:\.\w+)?)`", scheduler_api.__doc__ or "")
    if name.partition(".")[0] in PACKAGES
]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PATHS = re.findall(r"`((?:scheduler_api|project|tests|docs)/[\w/.]*)`", CONTRIBUTING)


@pytest.mark.parametrize("name", MODULES)
def test_tour_names_a_module_that_exists(name):
    path = ROOT / "scheduler_api" / name.replace(".", "/")

    assert path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize("path", PATHS)
def test_contributing_names_a_path_that_exists(path):
    assert (ROOT / path).exists()


def test_contributing_lists_every_package():
    listed = set(re.findall(r"^\| `scheduler_api/(\w+)/` \|", CONTRIBUTING, re.MULTILINE))

    assert listed == PACKAGES - {"management", "migrations"}
