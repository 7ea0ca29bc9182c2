"""What becomes of a task whose run was interrupted: the process that crawled it is gone, and its
worker lives. Pure functions.

The task is placed again at once, perhaps on the same worker, and spends no retry. Its next epoch
makes the report that comes twice an outdated one. If the worker says that the task itself is to
blame, that counts like the death of a worker (`poison.py`), but exactly: nobody has to guess. A
task that is interrupted again and again waits a little longer each time, so that nothing spins.
"""

from __future__ import annotations

from dataclasses import replace

from crawler.coordination.stored import MOST_KILLS
from crawler.model.records import NO_BLAME, Blame, Interruption, Report, Resource, State
from crawler.node.master.retries import pause_s

SOON_NS = 20_000_000_000
"""A run that is interrupted within this time after its assignment was interrupted soon."""

AT_ONCE = 3
"""After so many runs in a row that were interrupted soon, the next one still begins at once. So a
task has a pause that is interrupted more often than this in a minute."""


def interrupted(
    resource: Resource, report: Report, node_id: str, now_ns: int, window_s: float
) -> Resource:
    """Return the resource after the report that its run was interrupted on that worker.

    With `window_s` seconds of running a task is acquitted of all earlier deaths.
    """
    age_ns = now_ns - resource.assigned_time
    in_a_row = resource.interruption.in_a_row + 1 if age_ns < SOON_NS else 1
    reason = f"interrupted at {node_id}: {report.reason}"
    waiting = resource.replace(
        owner=None,
        state=State.PENDING,
        reason=reason,
        awaits_spider=False,
        counts=report.counts,
        shard_counts=report.shard_counts,
        interruption=Interruption(reason, min(in_a_row, MOST_KILLS)),
    )
    if not report.charged:
        return waiting
    kills, blame = _charged(resource, is_acquitted=age_ns >= window_s * 1e9)
    return waiting.replace(kills=kills, blame=blame)


def pause_before(resource: Resource) -> float:
    """Return the pause before a task without an owner is tried again, in seconds: because its run
    before failed, or was the latest of several that were interrupted. 0 if there is none."""
    in_a_row, failures = resource.interruption.in_a_row, len(resource.failed_on)
    if in_a_row:
        return pause_s(in_a_row - AT_ONCE) if in_a_row > AT_ONCE else 0.0
    return pause_s(failures) if failures else 0.0


def _charged(resource: Resource, is_acquitted: bool) -> tuple[int, Blame]:
    """Return the count and the blame of a task after one more death of a process."""
    kills, blame = (0, NO_BLAME) if is_acquitted else (resource.kills, resource.blame)
    processes = min(blame.processes + 1, MOST_KILLS)
    return min(kills + 1, MOST_KILLS), replace(blame, processes=processes, until=0)
