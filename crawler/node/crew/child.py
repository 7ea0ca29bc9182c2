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
GIVEN_PATH = "CRAWLER_GIVEN_PYTHONPATH"
"""The variable with the PYTHONPATH of the worker, while a crawl process starts."""


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies. Exits if that has happened."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def forget_path() -> None:
    """Give PYTHONPATH the value that it has for the worker. Ours was for the start of this process:
    a program of another Python, which a spider starts, would take our library for its own."""
    given = os.environ.pop(GIVEN_PATH, "")
    os.environ.pop("PYTHONPATH", None)
    if given:
        os.environ["PYTHONPATH"] = given


def leave_signals_to_worker() -> None:
    """The worker hears them too, and decides what they mean. It writes no memory to the disk: there
    may be passwords in it. A program that a spider starts hears them, which it would not if they
    were ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def become(user: str) -> None:
    """Be of that user."""
    of_user = pwd.getpwnam(user)
    os.initgroups(user, of_user.pw_gid)
    os.setgid(of_user.pw_gid)
    os.setuid(of_user.pw_uid)


def step_down(user: str, parent: int) -> None:
    """Be of a lower priority, and of that user if it is given, and die with the parent."""
    os.nice(NICE)
    if user:
        become(user)
    die_with_parent(parent)  # last: a change of the user lets the kernel forget it
