"""The mutants of tests/mutants can be made: what each takes out is in the code, once."""

from pathlib import Path

import pytest

from tests.mutants.__main__ import MUTANTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_it_takes_out_is_there_once(mutant):
    assert (ROOT / mutant.file).read_text().count(mutant.before) == 1


def test_no_two_have_one_name():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
