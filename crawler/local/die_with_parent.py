"""Runs a command as a child that dies with its parent, however the parent dies.

    python die_with_parent.py <pid of the parent> <command> [<argument> ...]

A parent that is killed with SIGKILL cleans up nothing. Here the kernel does it (Linux: prctl(2),
PR_SET_PDEATHSIG). This small program makes the call, because between fork and exec of the parent no
Python code is safe beside threads and gevent. It is run by its path, so that a child imports
nothing of the package. On other systems than Linux the command simply runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Replace this process by the command. Raises SystemExit if that is impossible."""
    parent, command = int(arguments[0]), arguments[1:]
    # A session of its own: Ctrl-C in a terminal then reaches only the parent, which stops its
    # children in the right order.
    os.setsid()
    _die_with(parent)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise SystemExit(f"cannot run {command[0]}: {error.strerror}") from None


def _die_with(parent: int) -> None:
    if sys.platform != "linux":
        return
    # SIGKILL, because a paused child would not see another signal.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the call above took effect.
    if os.getppid() != parent:
        raise SystemExit("the parent is gone")


if __name__ == "__main__":
    main(sys.argv[1:])
