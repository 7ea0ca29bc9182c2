"""A node inside gunicorn's worker process. It starts when gunicorn loads the application, and
leaves on SIGTERM.

gunicorn serves HTTP; the node adds gRPC and all the rest. With `-w N` there are N nodes, each with
its own id and gRPC port. Settings come from the environment and config.yaml.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import gevent
from flask import Flask

from crawler import boot, logs
from crawler.errors import ConfigError
from crawler.node.node import Node
from crawler.settings import config
from crawler.supervision import OnEnd, Supervisor

BOOT_ERROR = 4
"""gunicorn's exit status if an application cannot be loaded. gunicorn then stops, and does not try
again."""

LOOK_S = 0.1
"""How often a process that waits for gunicorn's end looks whether gunicorn is still there."""


def start_node(role_name: str) -> Flask:
    """Start a node of that role in this process. Return its application. Exits if it cannot
    start. A signal meanwhile ends the start: then gunicorn ends the process."""
    try:
        settings = config.load(os.environ.get("CRAWLER_CONFIG"), os.environ)
        logs.setup(settings.logs.level, settings.logs.style)
        node = Node(role_name, settings, serve_http=False, several=True)
        _leave_with(node)
        boot.take_stops()
        node.start()
    except ConfigError as error:
        _fail(error)
    return node.app


def _fail(error: ConfigError) -> NoReturn:
    """End gunicorn, and tell why. Or wait for its end, if another process has told it."""
    if not boot.FAILURE.take():
        _await_end()
    print(f"crawler: cannot start, nothing was started:\n{error}", file=sys.stderr)
    raise SystemExit(BOOT_ERROR) from error


def _await_end() -> NoReturn:
    """Wait until gunicorn stops this process, or is gone itself."""
    for number in boot.STOPS:
        signal.signal(number, signal.SIG_DFL)  # the node has ended; nothing is left to do
    boot.take_stops()
    while not boot.FAILURE.is_over():
        gevent.sleep(LOOK_S)
    raise SystemExit(BOOT_ERROR)


def _leave_with(node: Node) -> None:
    """Leave at once when gunicorn stops this process, and not only after its requests have
    ended."""
    answer = _stop_or_hurry(node)
    for number in boot.STOPS:
        _prepend(number, answer)
    atexit.register(node.stop)
    Supervisor("gunicorn").spawn("end", _end_process_with, node, on_end=OnEnd.RESTART)


def _stop_or_hurry(node: Node) -> Callable[[], None]:
    """Stop in order at the first signal, and hurry at the next."""
    answers = iter((node.stop, node.hurry))
    return lambda: next(answers, node.hurry)()


def _prepend(number: int, stop: Callable[[], None]) -> None:
    then: Any = signal.getsignal(number)

    def handle() -> None:
        stop()
        if callable(then):
            then(number, None)

    gevent.signal_handler(number, handle)


def _end_process_with(node: Node) -> None:
    """End the process of a node that failed, so that gunicorn starts another."""
    node.stopped.wait()
    if node.failure:
        os.kill(os.getpid(), signal.SIGTERM)
