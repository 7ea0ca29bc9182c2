"""Makes the history that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable

from crawler.clock import Clock
from crawler.history.history import History, NoHistory
from crawler.history.kept import KeptHistory
from crawler.metrics import Metrics
from crawler.settings.sections import HistorySettings


def history_of(
    settings: HistorySettings,
    folder: str,
    metrics: Metrics,
    clock: Clock,
    cluster: Callable[[], str],
) -> History:
    """Return the history. Relative paths start at the folder. `cluster` returns the id of the
    cluster."""
    if not settings.url:
        return NoHistory()
    return KeptHistory(settings.url, folder, settings.keep_days, metrics, clock, cluster)
