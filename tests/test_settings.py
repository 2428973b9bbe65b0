"""The table of settings in the README is complete."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
CALL = re.compile(r'(?:whole_number|flag|words|choice|env|environ\.get)\(\s*"([A-Z_]+)"')


def test_the_readme_has_every_setting_and_no_other() -> None:
    sources = [ROOT / "project" / name for name in ("settings.py", "environment.py")]
    read = {name for source in sources for name in CALL.findall(source.read_text())}

    readme = (ROOT / "README.md").read_text()
    described = set(re.findall(r"^\| `([A-Z_]+)` \|", readme, re.MULTILINE))

    assert described == read
