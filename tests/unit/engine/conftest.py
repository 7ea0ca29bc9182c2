"""After each test the state of the engine is validated."""

import pytest

from tests.engine_state import watched_engine

__all__ = ["watched_engine"]


@pytest.fixture(autouse=True)
def _validated(watched_engine):
    """What a test leaves of the engine agrees with itself."""
