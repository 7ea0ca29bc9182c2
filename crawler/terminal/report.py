"""Shows the statistics of a crawl as text: one line while it runs, a table when it has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crawler.model.statistics import AWAITED, Statistics
from crawler.plural import counted

_UNITS = ("bytes", "KB", "MB", "GB", "TB")


def status(found: Statistics) -> str:
    """The state of a running crawl in one line."""
    failed = sum(found.failures.values())
    parts = [
        f"{counted(found.pages, 'page')} ({found.pages_per_s:,.1f}/s)",
        counted(found.items, "item"),
        f"{failed:,} failed" if failed else "",
        f"{found.pending:,} to go",
        size(found.bytes_expanded),
        duration(found.seconds),
    ]
    return "  ".join(part for part in parts if part)


def summary(found: Statistics) -> list[str]:
    """The summary of a crawl, one line for each value that there is."""
    return [row(name, text) for name, text in _rows(found) if text]


def row(name: str, text: str) -> str:
    """One line of a summary."""
    return f"{name:<10} {text}"


def _rows(found: Statistics) -> Iterator[tuple[str, str]]:
    yield "spider", found.spider
    yield "process", f"{found.process} (pid {found.pid})" if found.process else ""
    yield "result", found.finish_reason or "still running"
    yield "discovered", _discovered(found)
    yield "pages", f"{found.pages:,}"
    yield "items", f"{found.items:,}"
    yield "dropped", counts(_largest_first(found.items_dropped))
    yield "lost", counts(_largest_first(found.items_failed))
    yield "requests", f"{found.requests:,}{_among(found)}"
    yield "repeated", _repeated(found)
    yield "retried", counted(found.retries, "request") if found.retries else ""
    yield "data", _data(found)
    yield "statuses", counts({str(key): each for key, each in sorted(found.statuses.items())})
    yield "failed", counts(_largest_first(found.failures))
    yield "filtered", counts(_largest_first(found.filtered))
    yield "not done", counted(found.pending, "request") if found.pending else ""
    yield "in between", _between(found)
    yield "cooldown", _resting(found.resting) if not found.finish_reason else ""
    yield "hosts", "; ".join(_hosts(found)) if not found.finish_reason else ""
    yield "memory", _memory(found.memory)
    yield "latency", _latency(found.latency_s) if found.statuses else ""
    yield "slow", counted(found.slow_callbacks, "callback") if found.slow_callbacks else ""
    yield "seconds", f"{found.seconds:.3f}"
    yield "pages/s", f"{found.pages_per_s:,.1f}"


def counts(values: Mapping[str, int]) -> str:
    """Counts by name, in one line."""
    return ", ".join(f"{name}: {count:,}" for name, count in values.items())


def size(number: float) -> str:
    """A number of bytes with a unit, for people."""
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            break
        number /= 1000
    return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds for people: `42 s`, `3:07`, `1:00:03`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _discovered(found: Statistics) -> str:
    """The discovered requests. Most of them are for pages that the crawl already knows."""
    duplicates = found.filtered.get("duplicate", 0)
    among = f", among them {counted(duplicates, 'duplicate')}" if duplicates else ""
    return f"{counted(found.discovered, 'request')}{among}"


def _among(found: Statistics) -> str:
    among: dict[str, Any] = {
        counted(found.redirects, "redirect"): found.redirects,
        f"{found.from_cache:,} from the cache": found.from_cache,
    }
    told = [text for text, count in among.items() if count]
    return f", among them {', '.join(told)}" if told else ""


def _repeated(found: Statistics) -> str:
    if not found.repeated:
        return ""
    return f"{counted(found.repeated, 'request')} that a run that was cut off had sent too"


def _data(found: Statistics) -> str:
    """The size of all pages, and how much of it came over the network: less if it was packed."""
    received = f" ({size(found.bytes_received)} over the network)" if found.bytes_received else ""
    return f"{size(found.bytes_expanded)}{received}"


def _latency(seconds: Mapping[str, float]) -> str:
    """The quantiles in their order, then the longest: through gRPC they come in any order."""
    ordered = sorted(seconds.items(), key=lambda each: (each[0] == "max", each[0]))
    return ", ".join(f"{name} {_milliseconds(each)}" for name, each in ordered)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.{1 if seconds < 0.01 else 0}f} ms"


def _memory(memory: Mapping[str, int]) -> str:
    if not memory:
        return ""
    on_disk = f", {counted(memory['on_disk'], 'request')} on disk" if memory["on_disk"] else ""
    crawls = memory.get("crawls", 1)
    several = f" (each once for each of {crawls} crawls that knows it)" if crawls > 1 else ""
    known = f"{counted(memory['known'], 'known URL')}{several} in {size(memory['known_bytes'])}"
    kept = memory.get("store_bytes", 0)
    state = f"; its state takes {size(kept)}" if kept else ""
    return f"{known}, {counted(memory['waiting'], 'request')}{on_disk}{state}"


def _between(found: Statistics) -> str:
    """The requests that are with no crawl of a task: `hosts` does not name their hosts."""
    if not found.elsewhere or found.memory.get("crawls", 1) < 2:
        return ""
    return f"{counted(found.elsewhere, 'request')} in Redis, for the next crawl that can send"


def _resting(resting: Mapping[str, float]) -> str:
    hosts = int(resting.get("hosts", 0))
    longest = duration(resting.get("longest_s", 0.0))
    return f"{counted(hosts, 'host')}, for {longest} at most" if hosts else ""


def _hosts(found: Statistics) -> Iterator[str]:
    """The hosts with the most pending requests, and why they wait."""
    for host, load in found.hosts.items():
        yield (
            f"{host}: {load.waiting:,} to go"
            + (f", {load.in_flight:,} in flight" if load.in_flight else "")
            + (f", rests {duration(load.rests_s)}" if load.rests_s else "")
            + (f", pause {load.pause_s:,g} s" if load.pause_s else "")
            + (", waits for its lease" if load.lease == AWAITED else "")
            + (f", at {' and '.join(load.at)}" if load.at else "")
        )
    if found.pending_hosts > len(found.hosts):
        yield counted(found.pending_hosts - len(found.hosts), "more host")


def _largest_first(values: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(values.items(), key=lambda pair: (-pair[1], pair[0])))
