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
from crawler.api.http.tls import Context
from crawler.errors import ConfigError
from crawler.node.node import Node
from crawler.settings import config
from crawler.settings.sections import Settings
from crawler.supervision import OnEnd, Supervisor

BOOT_ERROR = 4
"""gunicorn's exit status if an application cannot be loaded. gunicorn then stops, and does not try
again."""

SETTINGS = "crawler.gunicorn_conf"
"""The module with gunicorn's settings. gunicorn imports it before it starts this process."""

LOOK_S = 0.1
LOOKS = 100
"""How often, and at most how many times, a process that waits for gunicorn's end looks for it."""


class Asked:
    """Whether somebody has asked this process to end: gunicorn, or a person."""

    def __init__(self) -> None:
        self.is_set = False


def start_node(role_name: str) -> Flask:
    """Start a node of that role in this process. Return its application. Exits if it cannot
    start. A signal meanwhile ends the start: then gunicorn ends the process."""
    asked = Asked()
    try:
        settings = config.load(os.environ.get("CRAWLER_CONFIG"), os.environ)
        logs.setup(settings.logs.level, settings.logs.style)
        _check_tls(settings)
        node = Node(role_name, settings, serve_http=False, several=True)
        if node.certificates is not None:
            Context.of_process = Context(node.certificates)
        _leave_with(node, asked)
        boot.take_stops()
        node.start()
    except ConfigError as error:
        _fail(error, asked)
    return node.app


def _check_tls(settings: Settings) -> None:
    """Refuse to serve HTTP without TLS beside gRPC with it. Raises ConfigError."""
    if settings.tls.cert and SETTINGS not in sys.modules:
        raise ConfigError(
            "tls.cert: given, but gunicorn does not know it and would serve HTTP without TLS; "
            f"start it with -c python:{SETTINGS}"
        )


def _fail(error: ConfigError, asked: Asked) -> NoReturn:
    """End gunicorn, and tell why. End quietly if gunicorn ends already: for that reason, because
    another process has told it, or for another."""
    if asked.is_set or not (boot.FAILURE.take() or not _gunicorn_ends(asked)):
        raise SystemExit(0) from error
    print(f"crawler: cannot start, nothing was started:\n{error}", file=sys.stderr)
    raise SystemExit(BOOT_ERROR) from error


def _gunicorn_ends(asked: Asked) -> bool:
    """Wait until gunicorn asks this process to end, or is gone itself. Return False if that does
    not come: the process that was to end gunicorn may have been killed before."""
    for number in boot.STOPS:
        signal.signal(number, signal.SIG_DFL)  # the node has ended; nothing is left to do
    boot.take_stops()
    for _ in range(LOOKS):
        if asked.is_set or boot.FAILURE.is_over():  # a signal may have come before
            return True
        gevent.sleep(LOOK_S)
    return False


def _leave_with(node: Node, asked: Asked) -> None:
    """Leave at once when gunicorn stops this process, and not only after its requests have
    ended."""
    answer = _stop_or_hurry(node, asked)
    for number in boot.STOPS:
        _prepend(number, answer)
    atexit.register(node.stop)
    Supervisor("gunicorn").spawn("end", _end_process_with, node, on_end=OnEnd.RESTART)


def _stop_or_hurry(node: Node, asked: Asked) -> Callable[[], None]:
    """Stop in order at the first signal, and hurry at the next."""

    def answer() -> None:
        is_first, asked.is_set = not asked.is_set, True
        (node.stop if is_first else node.hurry)()

    return answer


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
