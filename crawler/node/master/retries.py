"""The pause before something that failed with a task is tried again."""

from __future__ import annotations

RETRY_S = 1.0
MOST_RETRY_S = 60.0
"""The pause after the first failure. It doubles with each failure, up to the second."""

MOST_DOUBLINGS = 6
"""After so many failures the pause no longer grows. 2 to the power of more failures may be too
large a number."""


def pause_s(failures: int) -> float:
    """Return the pause after that many failures, in seconds."""
    doublings = min(failures - 1, MOST_DOUBLINGS)
    return min(RETRY_S * 2.0**doublings, MOST_RETRY_S)
