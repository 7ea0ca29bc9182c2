"""Finds the guards of nodes: each is a child of its node, whatever the node says of it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from crawler.node.guard.killing import is_gone


def guard_of(pid):
    """The number of the guard of a process; 0 while it has none."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes()
            if int(parent) == pid and state != "Z" and b"node/guard/__main__.py" in command:
                return int(folder.name)
    return 0


def parent_of(pid):
    """The number of the process that started another one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pause_machine(pid):
    """Stop a node with all its processes, as if their machine stood still. Returns them."""
    stopped = [pid]
    os.kill(pid, signal.SIGSTOP)
    for parent in stopped:  # which grows meanwhile
        for child in _children(parent):
            os.kill(child, signal.SIGSTOP)
            stopped.append(child)
    return stopped


def resume_machine(stopped):
    """Let these processes go on."""
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _children(pid):
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if parent_of(folder.name) == pid:
                yield int(folder.name)


class Ending:
    """A process whose end is waited for."""

    def __init__(self, pid):
        self._pidfd = os.pidfd_open(pid)

    def is_gone(self):
        """Whether it has ended."""
        return is_gone(self._pidfd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._pidfd)
