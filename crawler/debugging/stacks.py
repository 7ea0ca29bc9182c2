"""Shows where all greenlets and native threads of a process stand. It shows no values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import FrameType

import gevent
from gevent import Greenlet
from gevent.hub import Hub
from greenlet import greenlet

from crawler.debugging.places import shown_line
from crawler.debugging.tracked import tracked
from crawler.hub import stacks_of_threads
from crawler.plural import counted

MOST_STACKS = 1_000
"""How many different stacks are shown."""
MOST_FRAMES = 60
"""How many of the innermost frames of a stack are shown."""
MOST_NAMES = 10
"""How many greenlets of one stack are named."""

_Lines = tuple[str, ...]


def shown_stacks() -> str:
    """Return the stacks as text, each once, with the names of the greenlets that stand there. The
    innermost line comes first."""
    names, standing = _greenlets()
    lines = [f"{counted(standing, 'greenlet')}, {counted(len(names), 'stack')}", ""]
    for stack, those in sorted(names.items(), key=lambda each: -len(each[1]))[:MOST_STACKS]:
        lines += [_headline(those), *stack, ""]
    threads = stacks_of_threads()
    lines += [counted(len(threads), "native thread"), ""]
    for thread, places in threads.items():
        lines += [f"thread 0x{thread:x}:", *(shown_line(*place) for place in places), ""]
    return "\n".join(lines)


def _greenlets() -> tuple[Mapping[_Lines, Sequence[str]], int]:
    """Return the names of the greenlets by their stacks, and how many there are."""
    names: dict[_Lines, list[str]] = defaultdict(list)
    standing = 0
    here = _thread_of(gevent.getcurrent())
    hub = gevent.get_hub()
    for each in chain([hub], (each for each in tracked() if each is not hub)):
        # A proxy may lie about its class, so that only the type counts.
        if not issubclass(type(each), greenlet) or each.dead or each.gr_frame is None:
            continue
        if _thread_of(each) is here:  # those of other threads may move
            standing += 1
            names[tuple(_lines(each.gr_frame))].append(_name(each))
    return names, standing


def _lines(frame: FrameType | None) -> Iterator[str]:
    left = MOST_FRAMES
    while frame is not None and left:
        code, left = frame.f_code, left - 1
        yield shown_line(code.co_filename, frame.f_lineno, code.co_qualname)
        frame = frame.f_back


def _thread_of(each: greenlet) -> greenlet:
    """Return the main greenlet of the thread that a greenlet belongs to."""
    while each.parent is not None:
        each = each.parent
    return each


def _name(each: greenlet) -> str:
    if isinstance(each, Hub):
        return "hub"
    return str(each.name) if isinstance(each, Greenlet) else "greenlet"


def _headline(names: Sequence[str]) -> str:
    told = sorted(names)[:MOST_NAMES]
    more = f" and {len(names) - len(told)} more" if len(names) > len(told) else ""
    return f"{counted(len(names), 'greenlet')}: {', '.join(told)}{more}"
