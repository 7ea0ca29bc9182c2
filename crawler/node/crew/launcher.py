"""Starts crawl processes each by itself, where they are not to be forked (`worker.fork`)."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Collection, Sequence

from gevent.event import Event

from crawler.node.crew.spawner import Born, SpawnFailed, environment
from crawler.node.crew.started import FILES, MODULE
from crawler.node.guard import killing
from crawler.node.guard.duty import Crawling

_ABOVE = 10
"""Above this number is none of the files that a process gets."""


class Launcher:
    """Starts each process by itself. That takes more time and memory than a fork, and it asks for
    nothing but the system's own way to start programs."""

    def __init__(
        self,
        secrets: Collection[str] = (),
        python: str = sys.executable,
        path: Sequence[str] = (),
    ) -> None:
        """No process gets a variable of the environment whose value is one of these secrets. It is
        of that interpreter, which finds modules in `path`; if that is empty, where we do."""
        self._secrets = secrets
        self._python = python
        self._path = path
        self._pidfds: dict[int, int] = {}
        self.pid = os.getpid()
        self.ended = Event()
        """Never set: there is nothing that could end."""

    def start(self, number: int, files: tuple[int, ...], user: str) -> Born:
        """Start a process that gets these files. Raises SpawnFailed."""
        *given, output = files
        python, path, more = self._python, self._path, []
        if user and path:  # our interpreter begins, and becomes that user before the other begins
            python, path, more = sys.executable, (), [self._python, os.pathsep.join(path)]
        command = [python, "-P", "-m", MODULE, str(os.getpid()), user, *more]
        high = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for file in given]
        nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        # The numbers that they get must not be those that others of them have.
        moved = [(os.POSIX_SPAWN_DUP2, file, to) for file, to in zip(high, FILES, strict=True)]
        printed = [(os.POSIX_SPAWN_DUP2, output, to) for to in (1, 2)]
        try:
            pid = os.posix_spawn(
                python,
                command,
                environment(os.environ, self._secrets, path),
                file_actions=[nothing, *printed, *moved],
                setpgroup=0,
            )
            self._pidfds[pid] = os.pidfd_open(pid)
            return Born(pid, os.dup(self._pidfds[pid]))
        except OSError as error:
            raise SpawnFailed(f"no crawl process can be started: {error}") from error
        finally:
            for file in high:
                os.close(file)

    def exit_of(self, pid: int) -> int | None:
        """How a process that is gone has ended; None if something else has asked before."""
        pidfd = self._pidfds.pop(pid, None)
        if pidfd is None:
            return None
        try:
            killing.kill(Crawling(pidfd, pid))  # what it has started
            told = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:  # gevent's own watch of children may have been faster
            return None
        finally:
            os.close(pidfd)
        if told is None:
            return None
        return told.si_status if told.si_code == os.CLD_EXITED else -told.si_status

    def close(self) -> None:
        """Let go of the processes."""
        for pid in list(self._pidfds):
            self.exit_of(pid)
