"""The demo: a local cluster crawls the bundled bookshop, and counts the items against it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from crawler import demo
from crawler.api.backend import Call
from crawler.api.rpc.client import Client
from crawler.clock import Clock, SystemClock
from crawler.demo.bookshop import BookshopServer
from crawler.errors import ConfigError, CrawlerError, Retryable
from crawler.items import items_of
from crawler.items.formats import BEST_FIRST
from crawler.local.admin import make_token
from crawler.local.cluster import LocalCluster
from crawler.model.records import MAX_PAGE, Query, Resource, Spec, State
from crawler.plural import counted
from crawler.settings import config
from crawler.terminal.progress import Progress

SITE_PORT = 8100
"""The port of the bookshop if it is free; demo.yaml has the same."""

SITE_VARIABLE = "BOOKSHOP_URL"
"""The variable that tells demo.yaml the URL of the bookshop."""

DEMO_FILE = Path(demo.__file__).with_name("demo.yaml")
"""The settings of the demo. They belong to this program, and not to the user's cluster."""

FOLDERS = {
    "CRAWLER_WORKER_ITEMS": "items",
    "CRAWLER_WORKER_CACHE_FOLDER": "http-cache",
    "CRAWLER_FRONTIER_FOLDER": "frontier",
    "CRAWLER_DEPLOY_FOLDER": "bundles",
    "CRAWLER_LOGS_FOLDER": "logs",
}
"""The folders that are usually beside the settings file, but not beside that of the demo."""

CALL = Call(timeout_s=5.0)
LOOK_S = 0.25
PATIENCE_S = 300.0


class DemoFailed(CrawlerError):
    """The demo failed. The message says how."""


def open_bookshop() -> BookshopServer:
    """Open the site, and let settings that are loaded from now on find it."""
    try:
        site = BookshopServer(port=SITE_PORT)
        site.start()
    except OSError:  # the port is taken, perhaps by another demo
        site = BookshopServer()
        site.start()
    os.environ[SITE_VARIABLE] = site.url
    return site


NO_TLS = {
    **{f"CRAWLER_TLS_{name}": "" for name in ("CA", "CERT", "KEY")},
    "CRAWLER_TLS_CLIENT_CERTIFICATES": "none",
}
"""The demo is of this machine alone, whatever the settings say about TLS."""


def bundled() -> str:
    """Return the demo's own settings file. What is written goes into the working folder."""
    for variable, folder in FOLDERS.items():
        os.environ.setdefault(variable, str(Path(folder).resolve()))
    return str(DEMO_FILE)


def run_demo(
    file: str,
    progress: Progress,
    say: Callable[[str], None],
    keep: Callable[[LocalCluster, str], AbstractContextManager[object]],
    clock: Clock | None = None,
) -> None:
    """Crawl the tasks of the file on a local cluster. `keep` returns a context in which other
    commands find the cluster's token. Raises CrawlerError if anything fails."""
    clock = clock or SystemClock()
    site = open_bookshop()
    try:
        settings = config.load(file, os.environ)
        if not settings.tasks:
            raise ConfigError(f"{file}: tasks: none given; list at least one task")
        say(f"bookshop at {site.url}; starting etcd, 2 masters and 2 workers")
        started_s = clock.monotonic()
        with LocalCluster(file, environment=NO_TLS) as cluster:
            token = make_token(cluster, clock)
            with keep(cluster, token):
                say(f"watch it: crawler tasks --master {cluster.masters[0].grpc} --token {token}")
                finished = _crawl(cluster, token, settings.tasks, progress, clock)
        progress.finish(finished, clock.monotonic() - started_s)
        items = Path(settings.folder, settings.worker.items).resolve()
        say(f"items: crawler items TASK --folder {items}")
        if set(settings.crawl.sinks) & set(BEST_FIRST):
            _check_files(finished, items)
        _judge(finished, site, say)
    finally:
        site.stop()


def submit(client: Client, tasks: Sequence[Spec]) -> None:
    """Add the tasks in their order."""
    for task in tasks:
        client.submit(task, CALL)


def look(client: Client) -> Sequence[Resource]:
    """Return all tasks of the cluster as they are now. Raises Retryable."""
    found: list[Resource] = []
    token = ""
    while True:
        page = client.list(Query(MAX_PAGE, token), CALL)
        found.extend(page.resources)
        token = page.next_token
        if not token:
            return found


def _crawl(
    cluster: LocalCluster, token: str, tasks: Sequence[Spec], progress: Progress, clock: Clock
) -> Sequence[Resource]:
    client = Client(cluster.masters[-1].grpc, token=lambda: token)
    try:
        submit(client, tasks)
        return _watch(cluster, client, progress, clock)
    finally:
        client.close()


def _watch(
    cluster: LocalCluster, client: Client, progress: Progress, clock: Clock
) -> Sequence[Resource]:
    deadline_s = clock.monotonic() + PATIENCE_S
    while True:
        cluster.check()
        try:
            resources = look(client)
        except Retryable:
            resources = []  # between two leaders; the next look will show them
        progress.update(resources)
        if resources and all(resource.state.finished for resource in resources):
            return resources
        if clock.monotonic() > deadline_s:
            raise DemoFailed(f"not finished after {PATIENCE_S:.0f} s; logs: {cluster.folder}")
        clock.sleep(LOOK_S)


def _judge(finished: Sequence[Resource], site: BookshopServer, say: Callable[[str], None]) -> None:
    """Check that every task is done, and that there are as many items as books in the shop."""
    failed = [r for r in finished if r.state is not State.DONE]
    if failed:
        reasons = "; ".join(f"{r.name}: {r.reason}" for r in failed)
        raise DemoFailed(f"{len(failed)} of {len(finished)} tasks failed: {reasons}")
    items, books = sum(r.counts.items for r in finished), site.shop.expected()["books"]
    if items != books:
        raise DemoFailed(f"{items} items, but the bookshop has {books} books within robots.txt")
    say(f"{items} items: all {books} books of the shop that its robots.txt lets a crawler reach")


def _check_files(finished: Sequence[Resource], items: Path) -> None:
    """Check that the files of each task hold as many items as its worker counted."""
    for resource in finished:
        written = items_of(resource.name, items, id=resource.id).count()
        if written != resource.counts.items:
            raise DemoFailed(
                f"{resource.name}: its files hold {counted(written, 'item')}, but its worker"
                f" counted {resource.counts.items}"
            )
