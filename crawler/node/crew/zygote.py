"""Forks the processes that crawl: they begin with the engine loaded, in some 20 ms.

    python -m crawler.node.crew.zygote SOCKET PARENT

It has one thread and no hub, and never runs code of a spider: so a fork of it is whole. It ends
with the worker that has started it, and the processes end with it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress

from crawler import runtime
from crawler.node.crew.child import die_with_parent, forget_path, leave_signals_to_worker, step_down

CLOSED_AT = 65_536
"""Above this number no file is open."""
_fork, _waitpid, _poll = os.fork, os.waitpid, select.poll
"""As they are before the patch: gevent's own make a hub, which no fork survives whole."""
_MESSAGE_BYTES = 4096
_FILES = 4
"""What each process is given: its channel, its page, the file for its stacks, and its output."""


class Zygote:
    """Forks when the worker says so, and tells who has ended."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._children: dict[int, int] = {}
        """The process ids, by the numbers of their pidfds."""

    def serve(self) -> None:
        """Serve until the worker closes the socket."""
        poll = _poll()
        poll.register(self._socket, select.POLLIN)
        while True:
            for file, _ in poll.poll():
                if file != self._socket.fileno():
                    poll.unregister(file)
                    self._tell_end(file)
                    continue
                child = self._fork()
                if child is None:
                    return
                poll.register(child, select.POLLIN)

    def _fork(self) -> int | None:
        """Fork one process. Return what to wait for: its pidfd, or the socket if there can be no
        more processes; None if the worker has closed the socket."""
        data, files, _, _ = socket.recv_fds(self._socket, _MESSAGE_BYTES, _FILES)
        if not data:
            return None
        order = json.loads(data)
        parent = os.getpid()
        try:
            pid = _fork()
        except OSError as error:  # too many processes, or no memory
            _close(files)
            failed = {"failed": order["number"], "why": str(error)}
            self._socket.send(json.dumps(failed).encode())
            return self._socket.fileno()
        if pid == 0:
            self._become(parent, files, order)
        os.setpgid(pid, pid)  # here too: whoever is first
        _close(files)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = pid
        told = json.dumps({"forked": order["number"], "pid": pid}).encode()
        socket.send_fds(self._socket, [told], [pidfd])
        return pidfd

    def _tell_end(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # what it has started; nobody else has its number yet
        _, status = _waitpid(pid, 0)
        os.close(pidfd)
        told = {"gone": pid, "status": os.waitstatus_to_exitcode(status)}
        self._socket.send(json.dumps(told).encode())

    def _become(self, parent: int, files: list[int], order: dict[str, object]) -> None:
        """Be a crawl process, and nothing else of this one."""
        status = 1
        try:
            die_with_parent(parent)
            os.setpgid(0, 0)
            channel, page, stack = _only(files)
            step_down(str(order.get("user", "")), parent)
            from crawler.node.crew import crawl_process

            status = crawl_process.run(channel, page, stack)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)


def _only(files: list[int]) -> tuple[int, int, int]:
    """Keep these files open, and none that is of others: their ends must be seen to close. What a
    spider starts gets none of them, and a spider that reads its input finds nothing there."""
    channel, page, stack, output = files
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    kept = sorted((channel, page, stack))
    for file in kept:
        os.set_inheritable(file, False)
    for low, high in zip([2, *kept], [*kept, CLOSED_AT]):
        os.closerange(low + 1, high)
    return channel, page, stack


def main(arguments: list[str]) -> int:
    """Load the engine, and fork."""
    file, parent = map(int, arguments)
    die_with_parent(parent)
    forget_path()
    leave_signals_to_worker()
    sock = socket.socket(fileno=file)  # before the patch: this process has no hub, and must not
    runtime.patch()
    from crawler.engine.frontier import sqlite_journal  # noqa: F401  what each fork begins with
    from crawler.node.crew import crawl_process  # noqa: F401

    gc.collect()
    gc.freeze()
    Zygote(sock).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
