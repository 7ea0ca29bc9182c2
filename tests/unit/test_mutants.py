"""The mutants of tests/mutants can be made: what each takes out is in the code, once."""

from functools import cache
from pathlib import Path

from tests.mutants import engine
from tests.mutants.__main__ import MUTANTS, copy_project

ROOT = Path(__file__).parents[2]


def test_what_each_takes_out_is_there_once():
    read = cache(lambda file: (ROOT / file).read_text())
    assert [each.name for each in MUTANTS if read(each.file).count(each.before) != 1] == []


def test_every_room_of_the_engine_has_one():
    rooms = {file.parent.name for file in (ROOT / "crawler" / "engine").glob("*/__init__.py")}
    assert {Path(mutant.file).parts[2] for mutant in engine.MUTANTS} == rooms


def test_no_two_have_one_name():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_the_tests_that_each_names_are_there():
    files = {each.name: each.tests.partition(" -k ")[0].split() for each in MUTANTS}
    assert all(files.values())
    assert [name for name, its in files.items() if not all((ROOT / f).exists() for f in its)] == []


def test_a_copy_of_the_project_has_every_module(tmp_path):
    copy_project(tmp_path / "copy")

    def modules(root):
        return {path.relative_to(root) for path in (root / "crawler").rglob("*.py")}

    assert modules(tmp_path / "copy") == modules(ROOT)
