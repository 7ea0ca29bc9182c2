"""A pytest plugin: what the tests of a file leave behind fails that file, and no other.

Counted before its first test and after its last: open files, sockets and pipes, child processes,
native threads of Python, greenlets. What the garbage collector finds unclosed fails it too, as a
ResourceWarning. What fixtures of the whole session open belongs to the session.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gevent
import greenlet
import pytest
from gevent import monkey

from crawler.hub import stacks_of_threads

get_ident = monkey.get_original("_thread", "get_ident")
"""What gevent has patched tells greenlets apart, not threads."""

PATIENCE_S = 20.0
"""What is being closed as the last test ends has so long."""

PROCESS = Path("/proc/self")
OF_A_BROWSER = b"chromium --type="
"""The processes that a browser starts for itself come and go as it likes, and end with it."""


class Held(NamedTuple):
    """What this process holds at a moment: what identifies each, and how a person is told of it."""

    descriptors: dict[object, str]
    processes: dict[object, str]
    greenlets: dict[object, str]
    threads: dict[object, str]

    def without(self, *others: Held) -> list[str]:
        """What none of the others has, in words."""
        return [
            text
            for kind, mine in enumerate(self)
            for key, text in mine.items()
            if all(key not in other[kind] for other in others)
        ]


def held() -> Held:
    """What this process holds now."""
    return Held(_descriptors(), _processes(), _greenlets(), _threads())


def pytest_collection_finish() -> None:
    """What the imports have made stays: no collection needs to look at it again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Some libraries tell of objects that are never collected. Before that, pytest collects once
    more, and need not look at what the session has kept."""
    atexit.register(gc.unfreeze)


_of_the_session = Held({}, {}, {}, {})
_after_the_last: Held | None = None
"""What this process held after the file before; the next one begins with that."""


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
    """What a fixture of the session opens is no leak of the file that asked for it first."""
    if fixturedef.scope != "session":
        return (yield)
    with of_the_session():
        return (yield)


@contextlib.contextmanager
def of_the_session() -> Iterator[None]:
    """What is opened within goes on for the session, and is no leak."""
    before = held()
    yield
    for mine, now, old in zip(_of_the_session, held(), before):
        mine.update({key: text for key, text in now.items() if key not in old})


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fails the file whose tests leave something behind."""
    yield from nothing_is_left_by("the tests of this file")


def nothing_is_left_by(whose: str) -> Iterator[None]:
    """Before the first test, and after the last one: what a fixture of this kind does."""
    global _after_the_last
    before = _after_the_last or held()
    yield
    gc.collect()  # pytest tells what was found unclosed as errors of the last test
    deadline_s = time.monotonic() + PATIENCE_S
    gevent.sleep()  # what gevent closes when its loop turns is closed now
    while left := (after := held()).without(before, _of_the_session):
        if time.monotonic() > deadline_s:
            _after_the_last = after
            told = "\n  ".join(f"{text}{_ends(text)}" for text in left)
            pytest.fail(f"{whose} have left:\n  {told}", pytrace=False)
        gevent.sleep(0.02)
        gc.collect()  # a thread that has ended just now may have held a channel of gRPC
    _after_the_last = after
    gc.freeze()  # what this file has made and the session keeps, the next files need not look at


def _descriptors() -> dict[object, str]:
    """Open files, sockets and pipes; what libev and gRPC wait with has no name, and is theirs."""
    found: dict[object, str] = {}
    for number in os.listdir(PROCESS / "fd"):
        with contextlib.suppress(OSError):  # the listing itself is closed by now
            name = os.readlink(PROCESS / "fd" / number)
            if not name.startswith(("anon_inode:", "/proc/")):
                found[number, name] = f"descriptor {number}: {name}"
    return found


def _ends(text: str) -> str:
    """The two ends of what was left by their ports, if it is a TCP connection."""
    inode = text.partition(": socket:[")[2].removesuffix("]")
    for line in (PROCESS / "net/tcp").read_text().splitlines():
        fields = line.split()
        if fields[9] == inode:
            ports = [int(end.partition(":")[2], 16) for end in fields[1:3]]
            return f", TCP {ports[0]} to {ports[1]}"
    return ""


def _processes() -> dict[object, str]:
    """Children, and theirs, that have not ended."""
    parents: dict[str, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[folder.name] = parent
    found: dict[object, str] = {}
    for pid in parents:
        if _descends(pid, parents):
            with contextlib.suppress(OSError):
                command = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ")
                if OF_A_BROWSER not in command:
                    found[pid] = f"process {pid}: {command.decode(errors='replace')}"
    return found


def _descends(pid: str, parents: dict[str, str]) -> bool:
    """Whether this process has started it, or one that this process has started, and so on."""
    while pid in parents:
        pid = parents[pid]
        if pid == str(os.getpid()):
            return True
    return False


def _greenlets() -> dict[object, str]:
    """Greenlets of this thread that wait for something, and those that have yet to begin."""
    hub, here = gevent.get_hub(), gevent.getcurrent()
    return {
        weakref.ref(each): f"{each!r}{_place(each)}"
        for each in gc.get_objects()
        if isinstance(each, greenlet.greenlet) and each not in (hub, here) and _lives(each)
        if not _is_of_grpc(each)
    }


def _is_of_grpc(each: greenlet.greenlet) -> bool:
    """Whether gRPC runs the calls of all channels in it. There is one at most. It ends some time
    after the last channel; a channel that is left shows by its socket."""
    return isinstance(each, gevent.Greenlet) and repr(each).endswith(": spawn_greenlets>")


def _lives(each: greenlet.greenlet) -> bool:
    waits = not each.ready() if isinstance(each, gevent.Greenlet) else bool(each)
    return waits and _root(each) is _root(gevent.getcurrent())


def _root(each: greenlet.greenlet) -> greenlet.greenlet:
    """The first greenlet of its thread."""
    while each.parent is not None:
        each = each.parent
    return each


def _place(each: greenlet.greenlet) -> str:
    frame = each.gr_frame
    return f", at {frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""


def _threads() -> dict[object, str]:
    """Native threads that run Python, beside this one and the hub's own pool of them."""
    places = [
        f"{stack[0].file}:{stack[0].line}"
        for thread, stack in stacks_of_threads().items()
        if stack and thread != get_ident()
    ]
    beside = len(places) - gevent.get_hub().threadpool.size
    where = ", ".join(sorted(set(places)))
    return {number: f"native thread {number + 1} of {beside}: {where}" for number in range(beside)}
