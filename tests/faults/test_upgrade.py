"""A cluster of the last release is upgraded while it crawls: no page twice, no task lost or failed.

docs/operations/upgrade.md says how; here each node is stopped in order and begins anew with the
present program, one after the other. The way back is the same.
"""

from collections import Counter

import pytest

from crawler.items import items_of
from tests.faults.last_release import unpack
from tests.integration.lab import Lab
from tests.integration.test_processes_resume import SPIDER, tree
from tests.integration.test_processes_shards import wood
from tests.site import Site
from tests.waiting import eventually

MASTERS, WORKERS = ("master-1", "master-2"), ("worker-1", "worker-2")
PAGES = 240
TREES = [f"tree-{number}" for number in range(4)]
WOOD = "wood"
LATER = [f"later-{number}" for number in range(4)]
"""Tasks that are added while both versions run, one after each node; each is short."""
FEW = 5


def host(number):
    """Each tree has a host of its own, and the wood has two."""
    return f"127.3.0.{number + 1}"


@pytest.mark.faults
@pytest.mark.parametrize(
    ("order", "is_back"),
    [(MASTERS + WORKERS, False), (WORKERS + MASTERS, False), (MASTERS + WORKERS, True)],
    ids=["masters first", "workers first", "back"],
)
def test_crawls_go_on_while_each_node_is_upgraded(tmp_path, redis, order, is_back):
    before, after = unpack(tmp_path / "former"), {}
    if is_back:
        before, after = after, before
    wooded = wood(PAGES, lambda number: host(10 + number % 2))
    pages = {**dict.fromkeys([*TREES, *LATER], tree(PAGES)), WOOD: wooded}
    with Site(pages=pages) as site, Lab(tmp_path, delay_s=0.1) as lab:
        lab.add_spider("tree", SPIDER.format(site="http://nowhere/"))
        lab.write_settings("tree", "tree.py", f"frontier: {{url: '{redis.url}'}}")
        start(lab, *MASTERS, *WORKERS, **before)
        for number, name in enumerate(TREES):
            add(lab, site, name, host(number))
        add(lab, site, WOOD, host(10), workers=2)
        eventually(lambda: all(asked(site, name).total() > 5 for name in [*TREES, WOOD]))
        for number, title in enumerate(order):
            start(lab, title, **after)
            add(lab, site, LATER[number], host(20 + number), max_pages=FEW)
        assert not any(state(lab, name) == "done" for name in TREES), "all were on their way"
        for name in [*TREES, WOOD, *LATER]:
            eventually(lambda n=name: state(lab, n) in ("done", "failed"), what=f"{name} ends")
            assert state(lab, name) == "done", lab.resource(name)
            assert asked(site, name) == dict.fromkeys(asked(site, name), 1), "no page twice"
            if name not in LATER:
                folders = [lab.folder / worker / "items" for worker in WORKERS]
                items = Counter(int(item["page"]) for item in items_of(name, *folders))
                assert items == Counter(range(PAGES)), "each item once"


def start(lab, *titles, **environment):
    """Start nodes that run the present program, or a former one. Each has new ports."""
    for title in titles:
        lab.forget(title)
        own = {"CRAWLER_WORKER_ITEMS": str(lab.folder / title / "items"), **environment}
        lab.start(title, config="tree", **own)


def add(lab, site, name, host, workers=1, **limits):
    settings = {"delay_s": 0.1, "host_concurrency": 1, **limits}
    parameters = {"start_urls": [site.url(f"/{name}/0", host)], "settings": settings}
    lab.add(name, "tree", parameters=parameters, workers=workers)


def asked(site, name):
    """How often each page of a task was asked for."""
    return Counter(path for path in site.paths() if path.startswith(f"/{name}/"))


def state(lab, name):
    return lab.resource(name)["State"]
