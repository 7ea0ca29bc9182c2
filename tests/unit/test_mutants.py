"""The mutants of tests/mutants can be made: what each takes out is in the code, once."""

from pathlib import Path

import pytest

from tests.mutants import engine
from tests.mutants.__main__ import MUTANTS, copy_project

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_it_takes_out_is_there_once(mutant):
    assert (ROOT / mutant.file).read_text().count(mutant.before) == 1


def test_every_room_of_the_engine_has_one():
    rooms = {file.parent.name for file in (ROOT / "crawler" / "engine").glob("*/__init__.py")}
    assert {Path(mutant.file).parts[2] for mutant in engine.MUTANTS} == rooms


def test_no_two_have_one_name():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_it_names_are_there(mutant):
    files, _, _ = mutant.tests.partition(" -k ")
    assert files.split()
    assert all((ROOT / file).exists() for file in files.split())


def test_a_copy_of_the_project_has_every_module(tmp_path):
    copy_project(tmp_path / "copy")

    def modules(root):
        return {path.relative_to(root) for path in (root / "crawler").rglob("*.py")}

    assert modules(tmp_path / "copy") == modules(ROOT)
