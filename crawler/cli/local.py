"""Commands that need no cluster, or start their own."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import gevent
from gevent.event import Event

from crawler import logs
from crawler.cli import token_file
from crawler.cli.base import (
    ANEW,
    CONFIG,
    DEFAULT_MASTER,
    DROP_MISSING,
    FAILED,
    INTERRUPTED,
    OTHER_TOKEN,
    RESUME,
    commands,
)
from crawler.cli.signals import end_at_once, end_in_order, interruptible, until_signal
from crawler.errors import ConfigError, CrawlerError, Unavailable
from crawler.model.records import State
from crawler.plural import counted
from crawler.settings import config

TELL_S = 5.0
"""So often the bookshop says what it has served."""
DEMO_SPIDER = "books"


@commands.command()
@CONFIG
@click.option(
    "-o",
    "--output",
    metavar="ITEMS",
    default="items",
    help="Where items go: a file or database for all tasks, or a folder with a file for each task. "
    "The setting sinks does not count; see docs/items.md.",
)
@RESUME
@ANEW
@DROP_MISSING
def run(file: str | None, output: str, resume: str | None, anew: bool, drop_missing: bool) -> int:
    """Run the tasks of a settings file in this process, without etcd.

    Ctrl-C ends all crawls in order, and writes their items. A second Ctrl-C cuts off the callbacks
    that do not end; the items yielded so far are written all the same, within 5 seconds. A third
    ends the process at once. With --resume, the same command goes on later, however this one ended.
    """
    end_at_once()
    from crawler.cli import resuming
    from crawler.devtools.all_tasks import tasks_of
    from crawler.devtools.kept_tasks import KeptTasks
    from crawler.engine.items.sinks.targets import STANDARD_OUTPUT
    from crawler.terminal.progress import progress_to

    settings = config.load(file, os.environ)
    # The progress shows which tasks end, and how. The log would repeat it between the bars.
    level = "error" if settings.logs.level in ("info", "warning") else settings.logs.level
    logs.setup(level, settings.logs.style)
    progress = progress_to(sys.stderr if output == STANDARD_OUTPUT else sys.stdout)
    folder, _ = resuming.folder_of(resume, ())
    if not folder:
        resuming.refuse_alone(anew, drop_missing)
    stores = resuming.stores_at(folder) if folder else None
    kept = stores and KeptTasks(folder, stores, resuming.say, anew, drop_missing)
    with (
        resuming.hosts_of(settings, folder) as hosts,
        tasks_of(settings, output, kept=kept, shared_hosts=hosts) as tasks,
    ):
        end_in_order(tasks, goes_on=kept is not None)
        finished = tasks.run(progress)
    progress.finish(finished)
    click.echo(f"items: {_shown(output)}", err=output == STANDARD_OUTPUT)
    if kept is not None:
        kept.end()
    if tasks.stopped:
        _tell_stopped(tasks.stopped, len(finished), goes_on=kept is not None)
        return INTERRUPTED
    failed = sum(resource.state is not State.DONE for resource in finished)
    if failed:
        click.echo(f"crawler: {failed} of {len(finished)} tasks failed", err=True)
    return FAILED if failed else 0


def _tell_stopped(stopped: int, tasks: int, goes_on: bool) -> None:
    """Say that tasks were stopped, and what the same command does with them."""
    anew = "; the same command begins them anew, and with --resume FOLDER later ones go on"
    click.echo(
        f"crawler: {stopped} of {tasks} tasks were stopped before they were done;"
        f" their items so far are written{'' if goes_on else anew}",
        err=True,
    )


def _shown(output: str) -> str:
    """Return a target for people: a URL without its password, or a file with its folder."""
    from crawler.engine.items.sinks.targets import public

    return public(output) if "://" in output or output == "-" else str(Path(output).resolve())


@commands.command()
@click.option(
    "-c",
    "--config",
    "file",
    envvar="CRAWLER_CONFIG",
    metavar="FILE",
    help="Settings file with other tasks. The default is the demo's own.",
)
def demo(file: str | None) -> int:
    """Crawl the bundled demo site on a local cluster: etcd, two masters, two workers."""
    from crawler.local.demo import bundled, run_demo
    from crawler.terminal.progress import progress_to

    logs.setup("warning", "text")
    _drop_tls_of_commands()
    with interruptible():
        run_demo(file or bundled(), progress_to(sys.stdout), click.echo, _kept)
    return 0


@commands.command()
@CONFIG
@click.option(
    "--demo",
    "filled",
    is_flag=True,
    help="Fill the cluster with crawls that go on, schedules, a project and alerts.",
)
def up(file: str | None, filled: bool) -> int:
    """Start a local cluster and the demo site, and leave them running until Ctrl-C.

    The tasks of the settings file are not added. The command shows how to add some. Without a
    settings file the workers have the spiders of the demo. The logs are kept.

    The cluster has a token, which this command shows. Other commands of the same user find it.

    With --demo there is something to see from the beginning on. All that it writes is gone at the
    end.
    """
    if filled:
        return _live(file)
    from crawler.local.admin import make_token
    from crawler.local.cluster import LocalCluster
    from crawler.local.demo import bundled, open_bookshop

    logs.setup("warning", "text")
    _drop_tls_of_commands()
    file = file or (config.DEFAULT_FILE if Path(config.DEFAULT_FILE).is_file() else bundled())
    site = open_bookshop()
    try:
        config.load(file, os.environ)  # report mistakes before anything is started
        with interruptible(), LocalCluster(file, usual_ports=True) as cluster:
            cluster.keeps_logs = True
            token = make_token(cluster)
            with _kept(cluster, token) as where, contextlib.suppress(KeyboardInterrupt):
                _tell_addresses(cluster, site.url)
                _tell_token(cluster, site.url, token, where)
                _wait_while_it_runs(cluster)
        click.echo(f"everything is stopped; the logs are kept: {cluster.folder}/*.log")
    finally:
        site.stop()
    return 0


def _live(file: str | None) -> int:
    """Start a local cluster in which something goes on, until Ctrl-C."""
    if file:
        raise click.UsageError(
            "--demo has settings of its own: leave out --config and CRAWLER_CONFIG"
        )
    from crawler.local.admin import make_token
    from crawler.local.cluster import LocalCluster
    from crawler.local.demo import open_bookshop
    from crawler.local.live import LIVE_FILE, environment_in, fill

    logs.setup("warning", "text")
    _drop_tls_of_commands()
    site = open_bookshop()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="crawler-demo-", ignore_cleanup_errors=True) as at,
            interruptible(),
            contextlib.suppress(KeyboardInterrupt),
        ):
            environment = environment_in(Path(at))
            tasks = config.load(str(LIVE_FILE), {**os.environ, **environment}).tasks
            with LocalCluster(str(LIVE_FILE), usual_ports=True, environment=environment) as cluster:
                token = make_token(cluster)
                with _kept(cluster, token) as where:
                    fill(cluster, token, tasks, click.echo)
                    _tell_addresses(cluster, site.url)
                    _tell_token(cluster, site.url, token, where)
                    _wait_while_it_runs(cluster)
        click.echo("everything is stopped, and nothing is kept")
    finally:
        site.stop()
    return 0


def _drop_tls_of_commands() -> None:
    """Let the files that commands use for TLS at another cluster not count for one that starts."""
    names = [f"CRAWLER_TLS_{name}" for name in ("CA", "CERT", "KEY")]
    if not all(map(os.environ.get, names[1:])):
        for name in names:
            os.environ.pop(name, None)


@commands.command()
@click.option("--listen", metavar="[HOST]:PORT", default="127.0.0.1:8100")
def site(listen: str) -> int:
    """Serve the demo site alone, until Ctrl-C. It says every few seconds what it has served."""
    from crawler.demo.bookshop import BookshopServer
    from crawler.node.membership.addresses import parse_listen

    logs.setup("warning", "text")
    try:
        server = BookshopServer(*parse_listen(listen))
    except ValueError as error:
        raise ConfigError(f"--listen: {error}") from error
    try:
        server.start()
    except OSError as error:
        raise CrawlerError(
            f"cannot listen at {listen}: {os.strerror(error.errno or 0)}; choose another port, such"
            " as --listen 127.0.0.1:8101"
        ) from error
    click.echo(f"bookshop at {server.url}; press Ctrl-C to close it")
    _tell_served(server.shop.served, until_signal())
    server.stop()
    return 0


def _tell_served(served: Counter[int], wanted: Event) -> None:
    """Say now and then what was served since the last time, until the event is set."""
    before: Counter[int] = Counter()
    while not wanted.wait(TELL_S):
        if news := served - before:
            answers = ", ".join(f"{count} × {status}" for status, count in sorted(news.items()))
            click.echo(f"served {counted(news.total(), 'request')}: {answers}", err=True)
        before = served.copy()


def _tell_addresses(cluster: Any, site_url: str) -> None:
    click.echo(f"etcd       {cluster.etcd.endpoint}")
    for node in cluster.nodes:
        click.echo(f"{node.title:<10} {cluster.scheme}://{node.http}  grpc {node.grpc}")
    click.echo(f"bookshop   {site_url}\nlogs       {cluster.folder}/*.log")


@contextlib.contextmanager
def _kept(cluster: Any, token: str) -> Iterator[str]:
    """A context in which other commands find the token of the cluster. It has where they do; it is
    empty if they do not."""
    masters = [node.grpc for node in cluster.masters]
    try:
        token_file.keep(masters, token)
    except OSError as error:
        click.echo(f"crawler: other commands need --token: it cannot be kept: {error}", err=True)
        yield ""
        return
    try:
        yield str(token_file.path())
    finally:
        with contextlib.suppress(OSError):  # the cluster must stop all the same
            token_file.forget(masters, token)


def _tell_token(cluster: Any, site_url: str, token: str, where: str) -> None:
    """Say what lets callers in, and what to try with it."""
    kept = f"\n           crawler commands find it in {where} until the cluster stops"
    master = cluster.masters[0].grpc
    options = "" if master == DEFAULT_MASTER else f" --master {master}"
    options += "" if where else f" --token {token}"
    options += f" --tls-ca {cluster.ca}" if cluster.ca else ""
    click.echo(f"token      {token}{kept if where else ''}\n")
    if os.environ.get("CRAWLER_TOKEN"):
        click.echo(OTHER_TOKEN, err=True)
    click.echo(_suggestion(cluster, site_url, token, options))
    click.echo(f"Then: crawler tasks{options}\nPress Ctrl-C to stop everything.")


def _suggestion(cluster: Any, site_url: str, token: str, options: str) -> str:
    """Return how to add a task that the workers can run, over HTTP and by a command."""
    spiders = _spiders(cluster, token)
    if not spiders:
        return (
            "The workers have no spider yet: write one (crawler new spider shop URL), list its file"
            " under spiders: in config.yaml, and start crawler up again."
        )
    task: dict[str, Any] = {"name": spiders[0], "spider": spiders[0]}
    words = f"{spiders[0]} --spider {spiders[0]}"
    if DEMO_SPIDER in spiders:
        start = f"{site_url}/department/fiction/"
        task = {"name": "fiction", "spider": DEMO_SPIDER, "parameters": {"start_urls": [start]}}
        words = f"fiction --spider {DEMO_SPIDER} -a start_urls={start}"
    body = json.dumps(task, separators=(",", ":"))
    headers = f"-H 'Authorization: Bearer {token}' -H 'content-type: application/json'"
    if cluster.ca:
        headers = f"--cacert {cluster.ca} {headers}"
    by_http = f"curl {headers} -d '{body}' {_url(cluster)}/crawler/resource"
    return f"Try: {by_http}\nOr: crawler add {words}{options}"


def _url(cluster: Any) -> str:
    """Return the URL of a master."""
    return f"{cluster.scheme}://{cluster.masters[0].http}"


def _spiders(cluster: Any, token: str) -> list[str]:
    """Return the spiders of the workers, as a master tells them; none if it does not answer."""
    from crawler.local.cluster import get_json

    try:
        url = f"{_url(cluster)}/crawler/node"
        nodes = get_json(url, context=cluster.context, token=token)["nodes"]
    except Unavailable:
        return []
    return sorted({name for node in nodes for name in node["spiders"]})


def _wait_while_it_runs(cluster: Any) -> None:
    """Wait until all nodes have ended. The user may kill a node to see what the others do."""
    told: list[str] = []
    while len(told) < len(cluster.nodes):
        for node in cluster.fallen():
            if node.title not in told:
                told.append(node.title)
                status = node.process.exit_code
                click.echo(f"{node.title} ended with status {status}; its log: {cluster.folder}")
        gevent.sleep(0.5)
    raise CrawlerError(f"all nodes have ended; their logs: {cluster.folder}")
