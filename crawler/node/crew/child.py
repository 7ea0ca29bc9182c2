"""How a process becomes one that crawls: what it gives up first, and with whom it dies."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal

NICE = 10
"""The processes give way to the worker, which must renew its lease in time."""
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies. Exits if that has happened."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def leave_signals_to_worker() -> None:
    """The worker hears them too, and decides what they mean. It writes no memory to the disk: there
    may be passwords in it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def step_down(user: str, parent: int) -> None:
    """Be of a lower priority, and of that user if it is given, and die with the parent."""
    os.nice(NICE)
    if user:
        of_user = pwd.getpwnam(user)
        os.initgroups(user, of_user.pw_gid)
        os.setgid(of_user.pw_gid)
        os.setuid(of_user.pw_uid)
    die_with_parent(parent)  # last: a change of the user lets the kernel forget it
