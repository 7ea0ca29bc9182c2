"""What the tests of the scheduler share."""

import sys

import pytest

from tests.unit.scheduler import plugins


@pytest.fixture
def plugin(monkeypatch):
    """Makes an importable plugin module of functions."""

    def make(name, **functions):
        monkeypatch.setitem(sys.modules, name, plugins.module(name, **functions))
        return name

    return make
