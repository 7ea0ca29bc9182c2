"""A guard's process, as its node has it: started beside gRPC's threads and a hub, told, and ended.

posix_spawn runs no Python between fork and exec, and no handler of gRPC's: so it is safe here.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
from gevent.socket import wait_read

from crawler.node.guard import messages

_PROGRAM = Path(__file__).with_name("__main__.py")


class Spawned:
    """One guard process, from its start to its end."""

    def __init__(self, pid: int, pidfd: int, socket: socket.socket) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._socket = socket
        self._how = ""
        """How it ended; empty until it is known."""

    @classmethod
    def start(cls) -> Spawned:
        """Start a process that waits for its first message. Raises OSError.

        It has a session of its own, so that no Ctrl-C reaches it. It has none of this process's
        environment, which holds passwords.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            ours.setblocking(False)
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", str(_PROGRAM)],
                _environment(),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                ],
                setsid=True,
            )
            return cls(pid, os.pidfd_open(pid), ours)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()

    def send(self, kind: str, fds: Sequence[int] = (), **body: Any) -> None:
        """Send a message. A guard that does not take it, as it reads none, is of no use: it is
        killed. Then its node starts another one."""
        try:
            messages.send(self._socket, kind, fds, **body)
        except OSError:
            self.kill()

    def kill(self) -> None:
        """Kill it. Its number may be another process's by now, its pidfd is not."""
        if self._how:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> str:
        """Wait until it has ended, and say how. Return an empty text if it takes longer."""
        if not self._how:
            with gevent.Timeout(timeout_s, False):
                wait_read(self._pidfd)
                self._close()
        return self._how

    def end(self, patience_s: float) -> None:
        """Wait until it has ended; kill it if it takes longer than this."""
        if not self.wait(patience_s):
            self.kill()
            self.wait()

    def _close(self) -> None:
        if self._how:  # another greenlet waited for it too
            return
        self._how = "unknown"
        with suppress(ChildProcessError):  # gevent's own watch of children may have been faster
            ended = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
            if ended is not None:
                kind = "exit code" if ended.si_code == os.CLD_EXITED else "signal"
                self._how = f"{kind} {ended.si_status}"
        os.close(self._pidfd)
        self._socket.close()


def _environment() -> dict[str, str]:
    """What Python itself may need to start."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
