"""The numbers that a worker shows: its runs, its hosts, and what its crawls have done."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from crawler.engine.stats.totals import Totals
from crawler.metrics import Metrics, Total
from crawler.node.crew.crew import Crew
from crawler.node.run.states import TaskStates
from crawler.node.worker.epochs import Epochs
from crawler.node.worker.runs import Runs


def measure_worker(
    metrics: Metrics, crew: Crew, runs: Runs, states: TaskStates, epochs: Epochs
) -> None:
    """Export how many tasks run on a worker, and what their crawls have done."""
    metrics.gauge_of("crawler_runs", "Tasks that run on this worker.", lambda: runs.running)
    metrics.gauge_of(
        "crawler_runs_waiting", "Tasks that wait until others end.", lambda: runs.waiting
    )
    metrics.gauge_of(
        "crawler_response_bytes",
        "Bytes of responses held in memory.",
        lambda: crew.figures().held_bytes,
    )
    metrics.gauge_of(
        "crawler_frontier_away",
        "1 while the Redis of frontier.url does not answer, else 0.",
        lambda: int(bool(states.unready_reason())),
    )
    metrics.gauge_of(
        "crawler_requests_pending",
        "Requests without an end, of all crawls that run here.",
        lambda: crew.figures().pending,
    )
    metrics.gauge_of(
        "crawler_store_bytes",
        "Bytes of the states of all crawls that run here.",
        lambda: crew.figures().store_bytes,
    )
    _measure_hosts(metrics, crew)
    metrics.counter_of(
        "crawler_assignments_refused",
        "Refused assignments that are older than an earlier one.",
        lambda: epochs.refusals,
    )
    _measure_processes(metrics, crew)
    metrics.totals_of("crawler_crawl", lambda: crawl_totals(crew.totals()))


def _measure_hosts(metrics: Metrics, crew: Crew) -> None:
    metrics.gauge_of(
        "crawler_hosts_owned",
        "Hosts to which this worker alone may send, if workers share hosts.",
        lambda: crew.figures().hosts_owned,
    )
    metrics.gauge_of(
        "crawler_hosts_waited_for",
        "Hosts that other workers own, and for which this one waits.",
        lambda: crew.figures().hosts_waited_for,
    )


def _measure_processes(metrics: Metrics, crew: Crew) -> None:
    """Each process has a number, which its successor does not get. The system's number is no
    label: it says nothing to who compares today with yesterday."""
    for name, help, value in (
        ("up", "1 while a crawl process takes tasks, else 0.", "takes_tasks"),
        ("tasks", "Tasks that run in a crawl process.", "tasks"),
        ("memory_bytes", "Memory of a crawl process.", "memory_bytes"),
        ("late_seconds", "For how long the hub of a crawl process has not turned.", "late_s"),
    ):
        read = partial(_by_process, crew, value)
        metrics.gauges_of(f"crawler_process_{name}", help, "process", read)
    metrics.counter_of(
        "crawler_process_cpu_seconds",
        "Seconds of processors that all crawl processes have taken, also those that have ended.",
        crew.load.cpu_s,
    )
    metrics.counter_of(
        "crawler_process_blockages",
        "How often a callback held the hub of a crawl process for longer than node.hub_limit_s.",
        crew.blockages,
    )
    metrics.totals_of(
        "crawler_process_ends",
        lambda: [
            Total(
                "crawler_process_ends",
                "Crawl processes that ended before their worker did, by cause.",
                crew.ends(),
                label="cause",
            )
        ],
    )


def _by_process(crew: Crew, value: str) -> dict[str, float]:
    loads = crew.crawls.processes()
    return {str(load.number): float(getattr(load, value)) for load in loads}


def crawl_totals(totals: Totals) -> Iterator[Total]:
    """Yield the totals of all crawls of a worker, for its metrics."""
    for name, value in totals.sums.items():
        yield Total(f"crawler_crawl_{name}", f"Over all crawls: {name}.", value)
    for name, by_reason in (("failures", totals.failures), ("filtered", totals.filtered)):
        help = f"Over all crawls: {name}, by reason."
        yield Total(f"crawler_crawl_{name}", help, by_reason, label="reason")
