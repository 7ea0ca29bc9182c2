"""docs/guarantees.md and docs/faults.md name tests, faults and commands that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}
TEXTS = {name: (ROOT / "docs" / name).read_text() for name in ("guarantees.md", "faults.md")}


@pytest.mark.parametrize("name", TEXTS)
def test_every_test_that_is_named_exists(name):
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", TEXTS[name])
    assert named
    missing = [
        f"{file}::{test}"
        for file, test in named
        if file not in FILES or f"def {test}(" not in FILES[file].read_text()
    ]
    assert not missing


def test_every_promise_says_what_shows_it():
    promises = TEXTS["guarantees.md"].partition("## Not promised")[0]
    rows = re.findall(r"^\| (?!promise|---)(.+) \|$", promises, re.MULTILINE)
    assert len(rows) > 20
    assert not [row for row in rows if not re.search(r"\| (–|r|t|r, t) \| `test_", row)]


def test_every_fault_has_its_file_and_every_file_its_line():
    faults = set(re.findall(r"`(test_\w+\.py)`", TEXTS["faults.md"].partition("## What must")[0]))
    about_the_tests = {"test_history.py", "test_proxy.py"}
    files = {path.name for path in (ROOT / "tests" / "faults").glob("test_*.py")}
    assert faults - about_the_tests == files - about_the_tests


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_is_a_target(name):
    targets = re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make (\w+)", TEXTS[name])) <= set(targets)
