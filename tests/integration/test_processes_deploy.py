"""A project is deployed to a real cluster, crawls there, and gets new code in the middle."""

import itertools
import os
import subprocess
import sys
from collections import Counter

import gevent
import pytest

from crawler.api.backend import Call
from crawler.api.rpc.client import Client
from crawler.local.cluster import LocalCluster
from crawler.model.projects import bundles_in
from crawler.model.records import Spec, State
from tests.integration.lab import ROOT
from tests.integration.test_processes_resume import tree
from tests.site import Site
from tests.site.crawling import lines
from tests.waiting import eventually

CALL = Call(20.0)
PAGES = 200
SETTINGS = """
coordination: {lease_ttl_s: 5}
crawl: {robots: false, delay_s: 0.01}
worker: {report_s: 0.1, processes: 1}
"""
CONFIG = """
spiders: [shop.py]
crawl: {host_concurrency: 2}
"""
SPIDER = """
from crawler import Spider
from words import VERSION


class Tree(Spider):
    name = "tree"

    def parse(self, response):
        yield {"page": response.url.rsplit("/", 1)[1], "version": VERSION}
        yield from response.follow_all(css="a")
"""


@pytest.fixture
def site():
    answer = tree(PAGES)

    def page(asked):
        gevent.sleep(site.rest_s)
        return answer(asked)

    with Site(pages={"forest": page}) as site:
        site.rest_s = 0.0
        yield site


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed")
    (folder / "settings.yaml").write_text(SETTINGS)
    with LocalCluster(str(folder / "settings.yaml"), masters=2, workers=2) as cluster:
        cluster.place = folder
        yield cluster


@pytest.fixture(scope="module")
def client(cluster):
    client = Client(cluster.masters[-1].grpc)
    yield client
    client.close()


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "shop.py").write_text(SPIDER)
    (folder / "json.py").write_text("raise ImportError('this hides a module of ours')")
    return folder


def write_version(project, version):
    (project / "words.py").write_text(f"VERSION = {version!r}\n")


def deploy(cluster, project, *options):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "crawler", "deploy", str(project), "--project", "shop"),
            *("--master", cluster.masters[0].grpc, *options),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CONFIG_HOME": str(cluster.place)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def add(client, site, name, **more):
    parameters = {"start_urls": [site.url("/forest/0")]}
    client.submit(Spec(name, "tree", parameters, project="shop", **more), CALL)


def ended(client, name):
    """The task, once it has ended."""
    return eventually(
        lambda: next((r for r in [client.get(name, CALL)] if r.state.finished), None), what=name
    )


def runs_with_another_bundle(client, before):
    task = client.get(before.name, CALL)
    return task.digest != before.digest and task.state is State.RUNNING


def items(cluster, name):
    folder = cluster.place / "items" / name
    last = lines(folder / ".runs")[-1]
    return list(itertools.chain(*(lines(folder / f"{stem}.jsonl") for stem in last["files"])))


def test_a_spider_is_changed_in_the_middle_of_a_crawl_and_no_page_is_fetched_twice(
    cluster, client, site, project
):
    write_version(project, "first")
    assert "1 spider: tree" in deploy(cluster, project)
    add(client, site, "nightly")
    asked = lambda: [path for path in site.paths() if path != "/robots.txt"]  # noqa: E731
    eventually(lambda: len(asked()) > PAGES // 4, what="it crawls")
    site.rest_s = 2.0  # so that the crawl still runs when the second bundle is there
    first = client.get("nightly", CALL)

    write_version(project, "second")
    deploy(cluster, project, "--roll")
    eventually(lambda: runs_with_another_bundle(client, first), what="it goes on with new code")
    site.rest_s = 0.0
    end = ended(client, "nightly")

    assert end.state is State.DONE, end.reason
    assert end.digest != first.digest
    assert end.run == first.run
    assert Counter(asked()) == Counter({f"/forest/{n}": 1 for n in range(PAGES)})
    found = items(cluster, "nightly")
    assert sorted(int(item["page"]) for item in found) == list(range(PAGES))
    assert {item["version"] for item in found} == {"first", "second"}
    [worker] = [each for each in client.nodes(CALL) if each.node.id == end.owner.node_id]
    assert bundles_in(worker.node.metadata) == {"shop": end.digest}
    assert "shop/tree" in worker.node.spiders
    [tree] = [each for each in client.spiders(CALL).spiders if each.project == "shop"]
    assert (tree.name, worker.node.id in tree.nodes) == ("tree", True)
    assert tree.about is not None, "the bundle tells what it takes"


def test_a_bundle_that_fails_here_fails_its_task_alone_and_says_why(cluster, client, site, project):
    write_version(project, "sound")
    deploy(cluster, project)
    (project / "words.py").write_text(
        "import os\nassert 'CRAWLER_DEPLOYS' in os.environ, 'only where it is deployed'\n"
        "VERSION = 'broken'\n"
    )
    os.environ["CRAWLER_DEPLOYS"] = "1"
    try:
        deploy(cluster, project)
    finally:
        del os.environ["CRAWLER_DEPLOYS"]
    add(client, site, "broken")
    end = ended(client, "broken")
    assert end.state is State.FAILED
    assert "of project shop fails here" in end.reason
    assert "only where it is deployed" in end.reason
    write_version(project, "mended")
    deploy(cluster, project)
    client.run("broken", CALL)
    assert ended(client, "broken").state is State.DONE
    assert {item["version"] for item in items(cluster, "broken")} == {"mended"}
