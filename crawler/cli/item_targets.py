"""Where `crawler items` writes items."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from crawler.cli.base import Unusable
from crawler.items import TaskItems
from crawler.items.reader import Item
from crawler.items.texts import to_line
from crawler.plural import counted

if TYPE_CHECKING:
    from crawler.engine.items.sinks.sink import Sink

STANDARD_OUTPUT = "-"


class Target(NamedTuple):
    """Where items go."""

    name: str
    """A file, a database, or `-`."""
    format: str
    """The format of a file, whatever its suffix; empty if that says it."""
    fresh: bool
    """Whether a file begins anew."""
    follow: bool
    """Whether each item is to be seen at once."""


def write(found: TaskItems, items: Iterator[Item], target: Target) -> int:
    """Write items to a target. Returns how many. Raises Unusable, ConfigError and OSError."""
    if target.name == STANDARD_OUTPUT and target.format in ("", "jsonl"):
        return _print(items, target.follow)
    if target.name != STANDARD_OUTPUT:
        _refuse_its_own(found, target.name)
    from crawler.cli.signals import interruptible
    from crawler.engine.items.sinks.targets import public

    with interruptible():
        count = _poured(found.name, items, target)
    if target.name != STANDARD_OUTPUT:
        click.echo(f"{counted(count, 'item')} of {found.name} in {public(target.name)}")
    return count


def _poured(task: str, items: Iterator[Item], target: Target) -> int:
    """Write items to a sink. A file that begins anew takes the place of the old one when it is
    whole, unless somebody follows it."""
    from crawler.cli.whole_file import replacing
    from crawler.engine.items.sinks.targets import open_sink, whole_file_sink

    kind, name = target.format, target.name
    if target.fresh and not target.follow and (make := whole_file_sink(name, kind)) is not None:
        with replacing(Path(name)) as made:
            return _pour(items, make(made))
    return _pour(items, open_sink(name, task, task, fresh=target.fresh, kind=kind))


def _pour(items: Iterable[Item], sink: Sink) -> int:
    """Write items to a sink. Returns how many."""
    count = 0
    try:
        sink.open()
        for item in items:
            sink.write(item)
            count += 1
    finally:
        sink.close()
    return count


def _print(items: Iterable[Item], at_once: bool) -> int:
    """Print items as JSON lines. Returns how many."""
    count, out = 0, sys.stdout.buffer
    for item in items:
        out.write(to_line(item))
        if at_once:
            out.flush()
        count += 1
    out.flush()
    return count


def _refuse_its_own(found: TaskItems, target: str) -> None:
    """Refuse to write to a file that is read. Raises Unusable."""
    if Path(target).resolve() in {source.now().resolve() for source in found.sources}:
        raise Unusable(f"-o {target}: the items are read from this file; name another one")
