"""The process that forks (see forks.py): it has imported the program, and waits for requests.

Each request comes over a connection of its own, with arguments, environment, folder, and three
descriptors. A keeper is forked for it, which forks the process itself, waits for its end and tells
it. Whoever dies takes along whom it has forked. gevent's hub must not run before the fork.
"""

from __future__ import annotations

from crawler.runtime import prepare

prepare()

import contextlib  # noqa: E402
import gc  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import pkgutil  # noqa: E402
import posix  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from importlib import import_module  # noqa: E402

import gevent  # noqa: E402
from gevent import monkey  # noqa: E402

from crawler import cli, plugins  # noqa: E402
from crawler.cli.index import INDEX  # noqa: E402
from crawler.local import die_with_parent  # noqa: E402
from tests import forks, warm_zygote  # noqa: E402

NEEDED = (
    *("crawler.node.master.master", "crawler.node.node", "crawler.node.worker.worker"),
    *("crawler.engine.frontier.sqlite_journal", "crawler.node.crew.crawl_process"),
    *("crawler.node.crew.crews", "crawler.node.crew.processes", "crawler.node.guard.duty"),
    *("grpc._server", "grpc._interceptor", "gevent.resolver.thread", "encodings.idna"),
    *(found.name for found in pkgutil.iter_modules(plugins.__path__, "crawler.plugins.")),
    *sorted({f"crawler.cli.{source.module}" for source in INDEX.values()}),
)
"""What commands import when they need it; most of them do."""

MOST = 1 << 20
"""Bytes of a request: arguments and environment."""

_Socket = monkey.get_original("socket", "socket")


def serve(path):
    """Fork for each request; returns the request, in the process that was forked for it."""
    with _Socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"{path}.new")
        listener.listen(100)
        os.rename(f"{path}.new", path)
        while True:
            line, _ = listener.accept()
            with contextlib.suppress(ChildProcessError):
                while posix.waitpid(-1, os.WNOHANG)[0]:
                    """One keeper less."""
            server = os.getpid()
            if posix.fork() == 0:
                listener.close()
                die_with_parent._die_with(server)
                return keep(line)
            line.close()


def keep(line):
    """Fork the process itself, tell its number and its end; returns in that process alone."""
    message, descriptors, _, _ = socket.recv_fds(line, MOST, 3)
    keeper = os.getpid()
    number = posix.fork()
    if number == 0:
        line.close()
        die_with_parent._die_with(keeper)
        return json.loads(message), descriptors
    for each in descriptors:
        os.close(each)
    line.send(json.dumps(number).encode())
    _, status = posix.waitpid(number, 0)
    with contextlib.suppress(OSError):  # nobody wants to know any more
        line.send(json.dumps(status).encode())
    os._exit(0)


def become(asked, descriptors):
    """Be the program as it is started with those arguments; its exit status."""
    os.setsid()
    for target, each in enumerate(descriptors):
        os.dup2(each, target)
        os.close(each)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    paths = asked["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [asked["cwd"], *filter(None, paths)]
    sys.argv = ["crawler", *asked["arguments"]]
    if asked["arguments"][:1] == ["worker"]:
        warm_zygote.have_one()
    gevent.reinit()
    gevent.get_hub().loop.update_now()  # else its timers count from the last turn of the server
    if path := os.environ.pop(forks.SERVER, ""):
        forks.fork_nodes(path)
    return cli.main()


if __name__ == "__main__":
    for name in NEEDED:
        import_module(name)
    gc.collect()
    gc.freeze()
    sys.exit(become(*serve(sys.argv[1])))
