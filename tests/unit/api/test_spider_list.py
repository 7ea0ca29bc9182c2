"""How a master puts the spiders of a cluster together from what workers tell."""

import json
import sys
from dataclasses import replace

import pytest

from crawler.api.backend import Call, NodeLoad
from crawler.api.bounded import BoundedBackend
from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.api.spider_list import KnownOffers, Spiders
from crawler.cli import main
from crawler.errors import Unavailable
from crawler.model.access import Caller, Role
from crawler.model.projects import Project, ProjectView, Version, told_bundles
from crawler.model.records import Node
from crawler.model.spiders import OfferedSpider, SpiderAbout, SpiderArgument
from tests.unit.api.fakes import CALL, FakeBackend, Master, body_of, client_of, running
from tests.unit.api.test_worker_statistics import serving

BOOKS = SpiderAbout(
    "Crawls books.",
    [
        SpiderArgument("category", "string", "all"),
        SpiderArgument("most", "integer", 5),
        SpiderArgument("start_urls", "array", ["http://a.example/"]),
        SpiderArgument("city", required=True),
    ],
)
OTHER = replace(BOOKS, about="Another version.")
SHOP = Project("shop", "d1", (Version("d1", spiders=("carts", "books")),), {"team": "x"})


class Backend(FakeBackend):
    """A leader that knows these workers and projects."""

    def __init__(self, *workers, projects=()):
        super().__init__()
        self.workers = workers
        self.kept_projects = {project.name: project for project in projects}

    def nodes(self, call):
        return [NodeLoad(node, "worker") for node in self.workers]

    def projects(self, call):
        return [ProjectView(project) for project in self.kept_projects.values()]


def worker(name, *spiders, incarnation=1, **bundles):
    return Node(
        name,
        name,
        spiders=frozenset(spiders),
        incarnation=incarnation,
        metadata=told_bundles(bundles),
    )


class Workers:
    """What each worker tells, by its address; None if it does not answer."""

    def __init__(self, **told):
        self.told, self.asked = told, []

    def __call__(self, address):
        return Asked(self, address)


class Asked:
    def __init__(self, workers, address):
        self.workers, self.address = workers, address

    def offered(self, call):
        self.workers.asked.append(self.address)
        if self.workers.told[self.address] is None:
            raise Unavailable("it sleeps")
        return self.workers.told[self.address]

    def close(self):
        pass


def listed(backend, workers, known=None, call=CALL):
    return Spiders(lambda call: backend, workers, call, known or KnownOffers()).all()


def offer(name, about=None, project=""):
    return OfferedSpider(name, project, about)


def test_each_spider_is_told_once_with_all_workers_that_offer_it():
    backend = Backend(worker("a", "books"), worker("b", "books", "news"))
    workers = Workers(a=[offer("books", BOOKS)], b=[offer("books", BOOKS), offer("news")])
    found = listed(backend, workers)
    assert found.notes == []
    assert found.spiders == [
        OfferedSpider("books", "", BOOKS, ["a", "b"]),
        OfferedSpider("news", "", None, ["b"]),
    ]


def test_if_workers_differ_most_of_them_count_and_that_is_told():
    backend = Backend(*(worker(name, "books") for name in "abc"))
    workers = Workers(**{name: [offer("books", BOOKS)] for name in "bc"}, a=[offer("books", OTHER)])
    assert listed(backend, workers).spiders == [
        OfferedSpider("books", "", BOOKS, ["a", "b", "c"], differs=True)
    ]


def test_the_spiders_of_a_project_are_listed_though_no_worker_has_it_yet():
    backend = Backend(worker("a", "shop/books", shop="d1"), projects=[SHOP])
    workers = Workers(a=[offer("books", BOOKS, "shop")])
    assert listed(backend, workers).spiders == [
        OfferedSpider("books", "shop", BOOKS, ["a"]),
        OfferedSpider("carts", "shop", None, []),
    ]


def test_of_a_silent_worker_the_names_are_known_alone():
    backend = Backend(worker("a", "odd/name", "shop/books", shop="d1"), projects=[SHOP])
    found = listed(backend, Workers(a=None))
    assert found.spiders[:2] == [
        OfferedSpider("odd/name", "", None, ["a"]),
        OfferedSpider("books", "shop", None, ["a"]),
    ]
    [note] = found.notes
    assert note.endswith("because it does not answer: it sleeps")


def test_a_worker_is_asked_once_for_each_of_its_registrations():
    workers, known = Workers(a=[offer("books", BOOKS)]), KnownOffers()
    for node in (
        *[worker("a", "books")] * 3,
        worker("a", "books", incarnation=2),
        worker("a", "books", incarnation=2, shop="d2"),
        worker("a", "books", "news", incarnation=2, shop="d2"),
    ):
        assert listed(Backend(node), workers, known).spiders[0].about == BOOKS
    assert len(workers.asked) == 4
    listed(Backend(), workers, known)
    listed(Backend(node), workers, known)
    assert len(workers.asked) == 5, "one that was away is forgotten"


def test_a_worker_of_another_program_is_not_asked():
    foreign = Node("a", "a")
    workers = Workers()
    found = listed(Backend(foreign, worker("b")), workers)
    assert (found.spiders, found.notes, workers.asked) == ([], [], [])


@pytest.mark.parametrize(("team", "seen"), [("x", ["news", "books", "carts"]), ("y", ["news"])])
def test_a_caller_sees_the_projects_within_its_bounds_alone(team, seen):
    caller = Caller("c", Role.VIEWER, {"team": team})
    leader = Backend(worker("a", "news", "shop/books", shop="d1"), projects=[SHOP])
    workers = Workers(a=[offer("news"), offer("books", BOOKS, "shop")])
    call = Call(20.0, caller=caller)
    found = listed(BoundedBackend(leader, caller), workers, call=call)
    assert [each.name for each in found.spiders] == seen


@pytest.fixture
def masters():
    leader = Backend(worker("a", "books"))
    workers = Workers(a=[offer("books", BOOKS)])
    masters = [Master(leader, reach=workers), Master(reach=workers)]
    with running(*masters):
        masters[1].follow(masters[0].address)
        yield masters


def test_grpc_and_http_of_any_master_tell_the_same(masters):
    wanted = OfferedSpider("books", "", BOOKS, ["a"])
    for master in masters:
        with client_of(master) as client:
            assert client.spiders(CALL).spiders == [wanted]
        told = body_of(master.web.get("/crawler/spiders"))
        assert told["notes"] == []
        [spider] = told["spiders"]
        assert (spider["name"], spider["nodes"], spider["differs"]) == ("books", ["a"], False)
        assert spider["about"]["takesOthers"]
        first, *_, last = spider["about"]["arguments"]
        assert first == {"name": "category", "type": "string", "default": "all", "required": False}
        assert last == {"name": "city", "type": "", "required": True}


def test_a_worker_tells_a_master_what_its_spiders_take():
    offers = [offer("books", BOOKS), offer("carts", None, "shop")]
    with serving(None, lambda: offers) as address:
        client = CrawlsClient(address)
        assert client.offered(CALL) == [replace(each, nodes=[]) for each in offers]
        client.close()


def test_people_see_them_with_a_command(masters, monkeypatch, capsys):
    def said(*arguments):
        monkeypatch.setenv("CRAWLER_MASTER", masters[1].address)
        monkeypatch.setattr(sys, "argv", ["crawler", "spiders", *arguments])
        status = main()
        out, error = capsys.readouterr()
        return status, out.splitlines(), error

    status, [_, line], _ = said()
    assert status == 0
    assert line.split()[:2] == ["books", "1"]
    assert "category, most, start_urls, city*" in line
    status, lines, _ = said("books")
    assert lines[:2] == ["spider books: Crawls books.", "offered by a"]
    assert [*map(str.split, lines[3:5])] == [
        ["category", "string", '"all"'],
        ["most", "integer", "5"],
    ]
    assert lines[-1].split() == ["city", "must", "be", "given"]
    _, [line], _ = said("--json")
    assert json.loads(line)["about"]["about"] == "Crawls books."
    status, _, error = said("nothing")
    assert (status, error.startswith("crawler: no spider 'nothing'")) == (1, True)
