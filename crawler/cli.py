"""The command line. Parses, calls, and turns errors into a message and an exit status.

Status 0: done. 1: something failed. 2: bad usage or settings, and nothing was started. 130: ended
by SIGINT or SIGTERM before it was done.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import gevent
from gevent.event import Event

from crawler import config, logs
from crawler.errors import ConfigError, CrawlerError
from crawler.records import State

FAILED = 1
BAD_SETTINGS = 2
INTERRUPTED = 130

_CONFIG = click.option(
    "-c",
    "--config",
    "file",
    envvar="CRAWLER_CONFIG",
    metavar="FILE",
    help="Settings file; config.yaml of this folder if it is there.",
)


def main() -> int:
    """Run the command line of this process; its exit status."""
    try:
        return int(commands.main(standalone_mode=False, prog_name="crawler") or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("crawler: interrupted; what was started is stopped", err=True)
        return INTERRUPTED
    except ConfigError as error:
        click.echo(f"crawler: bad settings, nothing was started:\n{error}", err=True)
        return BAD_SETTINGS
    except (CrawlerError, OSError) as error:
        click.echo(f"crawler: {error}", err=True)
        return FAILED


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def commands() -> None:
    """A distributed crawler: masters place crawl tasks on workers, and survive failures.

    Every setting can be given as an environment variable too: node.id as CRAWLER_NODE_ID.
    """


def _node_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--id", help="Name within its role; the lowest free number if not given."),
        click.option("--http", metavar="[HOST]:PORT", help="Where HTTP listens."),
        click.option("--grpc", metavar="[HOST]:PORT", help="Where gRPC listens."),
        click.option("--etcd", metavar="HOST:PORT[,…]", help="etcd's client addresses."),
        _CONFIG,
    )
    for option in reversed(options):
        command = option(command)
    return command


@commands.command()
@_node_options
def master(**options: str | None) -> int:
    """Run a master: stands in the election, places tasks while it leads, serves the API."""
    return _run_node("master", options)


@commands.command()
@_node_options
def worker(**options: str | None) -> int:
    """Run a worker: registers, and crawls what is assigned to it."""
    return _run_node("worker", options)


@commands.command()
@_CONFIG
@click.option(
    "-o",
    "--output",
    metavar="ITEMS",
    default="items",
    help="A .jsonl file for all items, or a folder with a file per task.",
)
def run(file: str | None, output: str) -> int:
    """Run the tasks of a settings file in this process, without etcd."""
    from crawler.local.progress import progress_to
    from crawler.local.single import run_tasks

    settings = config.load(file, os.environ)
    # The progress tells what ends, and how; the log would tell it between the bars once more.
    level = "error" if settings.logs.level in ("info", "warning") else settings.logs.level
    logs.setup(level, settings.logs.style)
    progress = progress_to(sys.stdout)
    with _interruptible():
        finished = run_tasks(settings, Path(output), progress)
    progress.finish(finished)
    click.echo(f"items: {Path(output).resolve()}")
    failed = sum(resource.state is not State.DONE for resource in finished)
    if failed:
        click.echo(f"crawler: {failed} of {len(finished)} tasks failed", err=True)
    return FAILED if failed else 0


@commands.command()
@_CONFIG
def demo(file: str | None) -> int:
    """Crawl the bundled demo site on a local cluster: etcd, two masters, two workers."""
    from crawler.local.demo import run_demo
    from crawler.local.progress import progress_to

    logs.setup("warning", "text")
    with _interruptible():
        run_demo(file or config.DEFAULT_FILE, progress_to(sys.stdout), click.echo)
    return 0


@commands.command()
@_CONFIG
def up(file: str | None) -> int:
    """Start a local cluster and the demo site, and leave them running until Ctrl-C."""
    from crawler.local.cluster import LocalCluster
    from crawler.local.demo import open_bookshop

    logs.setup("warning", "text")
    file = file or (config.DEFAULT_FILE if Path(config.DEFAULT_FILE).is_file() else None)
    site = open_bookshop()
    try:
        config.load(file, os.environ)  # so that mistakes are told before anything is started
        with _interruptible(), LocalCluster(file, usual_ports=True) as cluster:
            _tell_addresses(cluster, site.url)
            with contextlib.suppress(KeyboardInterrupt):
                _wait_while_it_runs(cluster)
    finally:
        site.stop()
    return 0


@commands.command()
@click.option("--listen", metavar="[HOST]:PORT", default="127.0.0.1:8100")
def site(listen: str) -> int:
    """Serve the demo site alone, until Ctrl-C."""
    from crawler.demo.bookshop import BookshopServer
    from crawler.node.addresses import parse_listen

    logs.setup("warning", "text")
    try:
        server = BookshopServer(*parse_listen(listen))
    except ValueError as error:
        raise ConfigError(f"--listen: {error}") from error
    server.start()
    click.echo(f"bookshop at {server.url}; Ctrl-C closes it")
    _until_signal().wait()
    server.stop()
    return 0


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
    wanted = _until_signal(node.hurry)
    node.start()
    gevent.wait([wanted, node.stopped], count=1)
    node.stop()
    if node.failure:
        raise CrawlerError(node.failure)
    return 0


def _until_signal(*then: Callable[[], None]) -> Event:
    """Set by SIGTERM or SIGINT; the next ones call `then`, and end the process at once."""
    wanted = Event()
    _on_signal(wanted.set, *then)
    return wanted


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGINT raise KeyboardInterrupt in the body, which stops what it has started.

    Left to itself gevent raises it in its hub, with a traceback, and SIGTERM cleans nothing up.
    """
    body = gevent.getcurrent()
    handlers = _on_signal(lambda: gevent.kill(body, KeyboardInterrupt))
    try:
        yield
    finally:
        for handler in handlers:
            handler.cancel()


def _on_signal(*answers: Callable[[], None]) -> list[Any]:
    """Answer each SIGTERM or SIGINT by the next of these; one more ends the process at once."""
    left = list(answers)

    def handle() -> None:
        if not left:
            os._exit(INTERRUPTED)
        left.pop(0)()

    numbers = (signal.SIGTERM, signal.SIGINT)
    return [gevent.signal_handler(number, handle) for number in numbers]


def _tell_addresses(cluster: Any, site_url: str) -> None:
    click.echo(f"etcd       {cluster.etcd.endpoint}")
    for node in cluster.nodes:
        click.echo(f"{node.title:<10} http://{node.http}  grpc {node.grpc}")
    click.echo(f"bookshop   {site_url}\nlogs       {cluster.folder}\n")
    first = cluster.masters[0].http
    click.echo(
        f'Try: curl -H \'content-type: application/json\' -d \'{{"name":"fiction","spider":'
        f'"books","parameters":{{"start_urls":["{site_url}/department/fiction/"]}}}}\' '
        f"http://{first}/crawler/resource\nCtrl-C stops all of it."
    )


def _wait_while_it_runs(cluster: Any) -> None:
    """A node may be killed to see what the others do; only with all of them gone is it over."""
    told: list[str] = []
    while len(told) < len(cluster.nodes):
        for node in cluster.fallen():
            if node.title not in told:
                told.append(node.title)
                status = node.process.exit_code
                click.echo(f"{node.title} ended with status {status}; its log: {cluster.folder}")
        gevent.sleep(0.5)
    raise CrawlerError(f"all nodes have ended; their logs: {cluster.folder}")
