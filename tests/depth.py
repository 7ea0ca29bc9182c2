"""How deeply tests look that draw their cases: shallow in `make test`, deep in `make test-all`.

TESTS_DEPTH names the profile of hypothesis: `dev`, which is the default, draws few cases, the same
each time, so that what is red was made red by a change; `deep` draws many, and new ones each time.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
"""How long a case takes is no promise of ours, and differs with what else the machine does."""

settings.register_profile("dev", max_examples=15, derandomize=True, **COMMON)
settings.register_profile("deep", max_examples=200, print_blob=True, **COMMON)
settings.load_profile(os.environ.get("TESTS_DEPTH", "dev"))


deep = pytest.mark.deep
"""What takes long and shows no more than what is beside it, on a larger scale."""


def examples(number: int) -> int:
    """So many cases where hypothesis draws its usual hundred, fewer or more in our profiles."""
    return max(5, number * settings().max_examples // 100)
