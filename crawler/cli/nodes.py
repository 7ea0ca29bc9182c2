"""Commands that run a node."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from gevent.event import Event

from crawler import logs
from crawler.cli.base import CONFIG, commands
from crawler.cli.signals import until_told
from crawler.errors import CrawlerError
from crawler.settings import config
from crawler.supervision import Supervisor

if TYPE_CHECKING:
    from crawler.node.node import Node

log = logs.get_logger(__name__)

STOPPING = (
    "stopping: callbacks may end, their items are written, and others take the work over; a second"
    " signal cuts the callbacks off, and the items yielded so far are written all the same; a third"
    " ends the process at once"
)
"""What the first signal says."""


def _node_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option(
            "--id", help="Name of the node within its role. The default is the lowest free number."
        ),
        click.option("--http", metavar="[HOST]:PORT", help="Address on which HTTP listens."),
        click.option("--grpc", metavar="[HOST]:PORT", help="Address on which gRPC listens."),
        click.option(
            "--etcd", metavar="HOST:PORT[,…]", help="Client addresses of etcd, with commas."
        ),
        CONFIG,
    )
    for option in reversed(options):
        command = option(command)
    return command


@commands.command()
@_node_options
def master(**options: str | None) -> int:
    """Run a master. It stands in the election, places tasks while it leads, and serves the API."""
    return _run_node("master", options)


@commands.command()
@_node_options
def worker(**options: str | None) -> int:
    """Run a worker. It registers, and crawls the tasks that are assigned to it."""
    return _run_node("worker", options)


def _run_node(role: str, options: dict[str, str | None]) -> int:
    from crawler.node.node import Node

    flags = {
        f"node.{name}": options[name]
        for name in ("id", "http", "grpc")
        if options[name] is not None
    }
    if options["etcd"] is not None:
        flags["etcd.endpoints"] = options["etcd"]
    settings = config.load(options["file"], os.environ, flags)
    logs.setup(settings.logs.level, settings.logs.style)
    node = Node(role, settings)
    # In a greenlet of its own: a signal also ends a start that waits for spiders.
    Supervisor("signals").spawn("stop", _stop_when, until_told(node.hurry), node)
    node.start()
    node.stopped.wait()
    if node.failure:
        raise CrawlerError(node.failure)
    return 0


def _stop_when(wanted: Event, node: Node) -> None:
    wanted.wait()
    log.info(STOPPING)
    node.stop()
