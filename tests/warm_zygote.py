"""A zygote that costs no start-up, for a worker that has been forked (see forks.py).

Before its hub runs, the worker forks a child, which waits. When the worker starts its zygote, as it
starts any program, the child becomes it: with the environment and the socket that it is given. It
is a child of the worker, dies with it, and forks as a zygote that was started; what it begins with
has been loaded. A second zygote of the same worker is a program that starts. How zygotes start by
themselves is for the tests of crews in one process.
"""

from __future__ import annotations

import _socket
import gc
import json
import os
import posix
import signal
import socket
import sys

import gevent
from gevent import monkey

from crawler import runtime
from crawler.node.crew import child, zygote
from crawler.node.crew.spawner import _MODULE

MOST = 1 << 20
"""Bytes of an environment."""

_Socket = monkey.get_original("socket", "socket")


def have_one():
    """Fork the child, and let it become the first zygote that this process starts."""
    ours, theirs = _pair()
    parent = os.getpid()
    number = posix.fork()
    if number == 0:
        ours.close()
        _wait(theirs, parent)
    theirs.close()
    start = os.posix_spawn

    def spawn(path, argv, env, *, file_actions=(), **given):
        if _MODULE not in argv:
            return start(path, argv, env, file_actions=file_actions, **given)
        os.posix_spawn = start
        [(_, file, _)] = file_actions
        with ours:
            socket.send_fds(ours, [json.dumps(env).encode()], [file])
        return number

    os.posix_spawn = spawn


def _pair():
    pair = _socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return (_Socket(fileno=each.detach()) for each in pair)


def _wait(line, parent):
    """Be a zygote once the worker says so; end if it never does."""
    child.die_with_parent(parent)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    gevent.get_hub().destroy(destroy_loop=True)
    message, files, _, _ = socket.recv_fds(line, MOST, 1)
    if not message:
        os._exit(0)
    os.setsid()
    os.dup2(files[0], 0)
    os.closerange(3, zygote.CLOSED_AT)
    os.environ.clear()
    os.environ.update(json.loads(message))
    sys.path[:] = os.environ["PYTHONPATH"].split(os.pathsep)
    child.forget_path()
    child.leave_signals_to_worker()
    zygote._fork, zygote._waitpid = posix.fork, posix.waitpid
    zygote._poll = monkey.get_original("select", "poll")
    runtime.prepare.cache_clear()
    gc.freeze()
    zygote.Zygote(_Socket(fileno=0)).serve()
    os._exit(0)
