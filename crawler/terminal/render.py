"""Draws the progress of tasks as text, with pure functions from resources to lines.

Nobody knows before the end how many pages a crawl will have. So a bar shows the state of a task,
but not how far it is. The counters beside it show what was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crawler.model.records import Resource, State
from crawler.plural import counted, plural
from crawler.terminal import tables
from crawler.terminal.tables import Seconds, display_width

HEADINGS = ("task", "worker", "pages", "items", "failures", "seconds", "state")
STOPPED = "stopped"
"""What the table says of a task that was neither done nor failed when all was over."""
_MOST_BAR = 24
_LEAST_BAR = 5
_RESET = "\x1b[0m"
_COLOURS = {
    State.PENDING: "\x1b[2m",
    State.ASSIGNED: "\x1b[33m",
    State.RUNNING: "\x1b[36m",
    State.DONE: "\x1b[32m",
    State.FAILED: "\x1b[31m",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What the terminal can show."""

    unicode: bool = True
    colour: bool = True

    @property
    def blocks(self) -> tuple[str, str]:
        """A full and an empty piece of a bar."""
        return ("━", "─") if self.unicode else ("#", "-")

    @property
    def ellipsis(self) -> str:
        """The sign for text that was cut off."""
        return "…" if self.unicode else "~"


def worker(resource: Resource) -> str:
    """The short name of the task's worker (`worker-2`), or a dash without a worker."""
    return resource.owner.node_id.rpartition(".")[2] if resource.owner else "-"


def bars(resources: Sequence[Resource], width: int, tick: int, look: Look) -> list[str]:
    """A line for each task, at most `width` columns wide. `tick` moves the bars."""
    columns = _Columns.of(resources, width)
    return [_line(resource, columns, tick, look) for resource in resources]


def bar(state: State, width: int, tick: int, look: Look) -> str:
    """A bar: empty while its task waits, moving while it runs, full when it has ended."""
    full, empty = look.blocks
    if state.finished:
        return full * width
    if state is not State.RUNNING:
        return empty * width
    block = max(1, width // 4)
    way = width - block
    place = abs((tick + way) % (2 * way) - way) if way else 0
    return empty * place + full * block + empty * (way - place)


def counters(resource: Resource) -> str:
    """The counts of a task, as a text whose width rarely changes."""
    counts = resource.counts
    pages, items, failures = counts.pages, counts.items, counts.failures
    text = f"{pages:>6} {plural(pages, 'page'):<5} {items:>6} {plural(items, 'item'):<5}"
    return f"{text} {failures:>4} {plural(failures, 'failure'):<8}" if failures else text


def change(resource: Resource) -> str:
    """A line that says the present state of a task."""
    line = f"{resource.name}: {resource.state.value}"
    if resource.owner is not None and not resource.state.finished:
        line = f"{line} on {worker(resource)}"
    if resource.state.finished:
        line = f"{line} on {worker(resource)}, {done(resource)}"
    return f"{line} ({resource.reason})" if resource.reason else line


def done(resource: Resource) -> str:
    """The counts of a task that has ended, as part of a sentence."""
    return f"{_sums([resource])} in {resource.counts.seconds:.1f} s"


def summary(resources: Sequence[Resource]) -> str:
    """One line about all tasks."""
    states = [resource.state for resource in resources]
    parts = [f"{states.count(state)} {state.value}" for state in State if state in states]
    standing = f"{counted(len(resources), 'task')}: {', '.join(parts) or 'none'}"
    return f"{standing}; {_sums(resources)}"


def table(resources: Sequence[Resource], elapsed_s: float | None = None) -> str:
    """The result of each task and the totals, as an aligned table. A task without a result was
    stopped.

    The total of the seconds is `elapsed_s`. Without it, it is that of the longest task, because
    tasks run at the same time. The last column says which.
    """
    counts = [resource.counts for resource in resources]
    longest_s = max((each.seconds for each in counts), default=0.0)
    total = (
        "total",
        "",
        sum(each.pages for each in counts),
        sum(each.items for each in counts),
        sum(each.failures for each in counts),
        Seconds(longest_s if elapsed_s is None else elapsed_s),
        "longest task" if elapsed_s is None else "start to end",
    )
    return "\n".join(tables.lines(HEADINGS, map(_row, resources), total))


def fitted(text: str, width: int, look: Look) -> str:
    """The text, cut or padded to exactly `width` columns."""
    if display_width(text) > width:
        kept = ""
        for letter in text:
            if display_width(kept + letter) > width - 1:
                break
            kept += letter
        text = (kept + look.ellipsis)[: max(width, 0)]
    return tables.padded(text, width)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The width of each part of a line. A narrow line loses the least important parts first."""

    name: int
    worker: int
    bar: int
    width: int

    @classmethod
    def of(cls, resources: Sequence[Resource], width: int) -> _Columns:
        name = max((display_width(each.name) for each in resources), default=0)
        owner = max((display_width(worker(each)) for each in resources), default=0)
        rest = max((len(_tail(each)) for each in resources), default=0)
        spare = width - name - owner - rest - 6
        if spare >= _LEAST_BAR:
            return cls(name, owner, min(spare, _MOST_BAR), width)
        without_worker = width - name - rest - 4
        if without_worker >= _LEAST_BAR:
            return cls(name, 0, min(without_worker, _MOST_BAR), width)
        return cls(min(name, max(8, width - rest - 2)), 0, 0, width)


def _line(resource: Resource, columns: _Columns, tick: int, look: Look) -> str:
    parts = [fitted(resource.name, columns.name, look)]
    if columns.worker:
        parts.append(fitted(worker(resource), columns.worker, look))
    if columns.bar:
        parts.append(bar(resource.state, columns.bar, tick, look))
    parts.append(_tail(resource))
    # Cut the text before it is coloured: half an escape sequence would colour the whole terminal.
    text = "  ".join(parts)
    text = fitted(text, columns.width, look) if display_width(text) > columns.width else text
    return f"{_COLOURS[resource.state]}{text}{_RESET}" if look.colour else text


def _tail(resource: Resource) -> str:
    return f"{counters(resource)}  {resource.state.value}"


def _row(resource: Resource) -> tuple[str | int | float, ...]:
    counts = resource.counts
    return (
        resource.name,
        worker(resource),
        counts.pages,
        counts.items,
        counts.failures,
        Seconds(counts.seconds),
        resource.state.value if resource.state.finished else STOPPED,
    )


def _sums(resources: Sequence[Resource]) -> str:
    counts = [resource.counts for resource in resources]
    sums = (
        counted(sum(each.pages for each in counts), "page"),
        counted(sum(each.items for each in counts), "item"),
        counted(sum(each.failures for each in counts), "failure"),
    )
    return ", ".join(sums)
