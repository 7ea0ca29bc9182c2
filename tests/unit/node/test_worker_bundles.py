"""What a worker does about the bundles of projects: it gets them, and offers their spiders."""

import errno
import os

import gevent
import pytest
from gevent.event import Event

from crawler.clock import SystemClock
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.projects import encode_project
from crawler.coordination.store import Delete, Put
from crawler.deploy import bundle
from crawler.deploy.manifest import Manifest
from crawler.errors import InvalidArgument, NotFound, Unavailable
from crawler.model.projects import Project, Version, bundles_in
from crawler.model.spiders import OfferedSpider, SpiderAbout, SpiderArgument
from crawler.node.crew.program import Unusable
from crawler.node.worker.bundles import TRIES, WorkerBundles
from crawler.node.worker.environments import PYTHON, Environments
from crawler.settings.sections import CoordinationSettings
from crawler.supervision import Supervisor
from tests.waiting import eventually

KEYS = Keys(CoordinationSettings())


class Masters:
    """Where bundles come from."""

    def __init__(self):
        self.bundles = {}
        self.asked = []
        self.error = None

    def fetch(self, digest):
        self.asked.append(digest)
        gevent.sleep(0)
        if self.error:
            raise self.error
        if digest not in self.bundles:
            raise NotFound("no master has it")
        yield from (self.bundles[digest][:100], self.bundles[digest][100:])


class Place:
    def __init__(self, folder):
        self.folder, self.store, self.masters = folder, MemoryStore(SystemClock()), Masters()
        environments = Environments(folder / "bundles", 1, SystemClock())
        self.bundles = WorkerBundles(self.store, KEYS, environments, SystemClock())
        self.bundles.fetch = self.masters.fetch
        self.offers = []
        self.bundles.on_offer = lambda: self.offers.append(self.bundles.spiders())
        self.supervisor = Supervisor("test")

    def start(self):
        self.bundles.start(self.supervisor)

    def made(self, *spiders, lock="", python=PYTHON, **more):
        """A version of a project that masters have."""
        source = self.folder / "project"
        source.mkdir(exist_ok=True)
        (source / "shop.py").write_text(f"spiders = {spiders}")
        manifest = Manifest("shop", list(spiders), ["shop.py"], python, **more)
        made = bundle.make(source, manifest, lock, self.folder / "made.zip")
        self.masters.bundles[made.digest] = made.path.read_bytes()
        return Version(made.digest, spiders=spiders)

    def deploy(self, *versions, name="shop"):
        project = Project(name, versions[0].digest, versions)
        self.store.txn([], [Put(KEYS.project(name), encode_project(project))])


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    place.supervisor.stop()
    place.store.close()


def test_what_is_deployed_is_fetched_before_it_is_offered_and_the_next_version_replaces_it(place):
    place.start()
    assert place.bundles.spiders() == frozenset()
    first, second = place.made("books"), place.made("books", "films")
    place.deploy(first)
    eventually(lambda: place.offers == [{"shop/books"}])
    place.deploy(second, first)
    eventually(lambda: place.offers[1:] == [{"shop/books", "shop/films"}])
    assert second.digest in place.bundles.metadata()["bundles"]
    assert place.masters.asked == [first.digest, second.digest]


def test_what_its_spiders_take_is_known_from_the_bundle(place):
    about = SpiderAbout("Sells books.", [SpiderArgument("city", "string", "Rome")])
    place.deploy(place.made("books", "old", described={"books": about.to_json(), "old": "odd"}))
    place.start()
    eventually(lambda: place.bundles.spiders())
    assert list(place.bundles.offered()) == [
        OfferedSpider("books", "shop", about),
        OfferedSpider("old", "shop"),
    ]


def test_bytes_with_another_digest_are_never_run(place):
    version = place.made("books")
    place.masters.bundles[version.digest] += b"more"
    with pytest.raises(Unavailable, match="is damaged"):
        place.bundles.ready(version.digest)
    place.masters.bundles[version.digest] = place.masters.bundles[version.digest][:-4]
    assert place.bundles.ready(version.digest).digest == version.digest


def test_many_runs_that_need_a_bundle_at_once_have_it_fetched_once(place):
    version = place.made("books")
    ready = [gevent.spawn(place.bundles.ready, version.digest) for _ in range(20)]
    gevent.joinall(ready, raise_error=True)
    assert {each.value.digest for each in ready} == {version.digest}
    assert place.masters.asked == [version.digest]


def test_whoever_waits_for_the_bundle_of_a_run_that_was_cut_off_tries_again(place):
    version = place.made("books")
    first, second = (gevent.spawn(_outcome, place, version.digest) for _ in range(2))
    gevent.sleep(0)
    first.kill()
    second.join()
    assert second.value.digest == version.digest
    assert place.bundles.ready(version.digest) is second.value


def test_a_bundle_is_awaited_until_it_is_ready_and_whoever_waits_hears_of_it(place):
    version, ready = place.made("books"), []
    place.start()
    place.bundles.on_ready = lambda: ready.append(place.bundles.awaits(version.digest))
    place.masters.error = Unavailable("no master answers")
    assert place.bundles.awaits(version.digest)
    eventually(lambda: place.masters.asked)
    assert place.bundles.awaits(version.digest)
    assert ready == []
    place.masters.error = None
    eventually(lambda: ready == [False])


def test_a_bundle_that_cannot_run_here_is_not_awaited_for_ever(place):
    foreign = place.made("books", lock="a==1\n", python="3.9")
    place.start()
    assert place.bundles.awaits(foreign.digest)
    eventually(lambda: not place.bundles.awaits(foreign.digest))


def _outcome(place, digest):
    try:
        return place.bundles.ready(digest)
    except (Unavailable, Unusable) as error:
        return error


def test_a_project_that_cannot_run_here_is_not_offered_and_its_runs_are_told_why(place):
    sound, foreign = place.made("books"), place.made("books", lock="a==1\n", python="3.9")
    place.start()
    place.deploy(sound)
    eventually(lambda: place.offers)
    place.deploy(foreign, sound)
    eventually(lambda: place.offers[-1] == frozenset())
    with pytest.raises(Unusable, match=r"resolved for Python 3\.9"):
        place.bundles.ready(foreign.digest)


def test_a_bundle_that_is_not_kept_any_more_is_given_up_and_one_that_is_kept_is_waited_for(place):
    version = place.made("books")
    del place.masters.bundles[version.digest]
    with pytest.raises(Unusable, match="is not kept any more; run the task once more"):
        place.bundles.ready(version.digest)
    place.deploy(version)
    place.start()
    eventually(lambda: _outcome(place, version.digest).__class__ is Unavailable)


def test_masters_that_are_away_are_asked_again(place, monkeypatch):
    monkeypatch.setattr("crawler.node.worker.bundles.AGAIN_S", 0.01)
    version = place.made("books")
    place.masters.error = Unavailable("nobody answers")
    warnings = []
    monkeypatch.setattr(
        "crawler.node.worker.bundles.log.warning", lambda *_, why, **__: warnings.append(why)
    )
    place.start()
    place.deploy(version)
    eventually(lambda: len(place.masters.asked) > 3)
    assert warnings == ["nobody answers"]
    place.masters.error = None
    eventually(lambda: place.offers == [{"shop/books"}])


def test_a_disk_that_is_full_for_a_while_is_tried_again(place):
    version = place.made("books")
    place.masters.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(Unavailable, match=r"No space left on device; bundles are unpacked there"):
        place.bundles.ready(version.digest)
    assert not list(place.folder.glob("bundles/unpacked/*")), "nothing is left behind"
    place.masters.error = None
    assert place.bundles.ready(version.digest)


def test_an_index_that_uv_does_not_reach_for_a_while_is_asked_again(place, monkeypatch):
    version, faults = place.made("books", lock="a==1\n"), [1, 2]

    def build(lock, folder, *_):
        if faults:
            faults.pop()
            raise InvalidArgument("requirements: uv refuses them:\nno route to host")
        (folder / "venv").mkdir()

    monkeypatch.setattr("crawler.node.worker.environments.build", build)
    monkeypatch.setattr("crawler.node.worker.bundles.AGAIN_S", 0.01)
    place.start()
    place.deploy(version)
    eventually(lambda: place.offers == [{"shop/books"}])


def test_packages_that_can_never_be_installed_are_given_up_and_tried_again_much_later(
    place, monkeypatch
):
    tried = []

    def build(*_):
        tried.append(1)
        raise InvalidArgument("requirements: uv refuses them:\nno wheel for this machine")

    monkeypatch.setattr("crawler.node.worker.environments.build", build)
    version = place.made("books", lock="a==1\n")
    outcomes = [_outcome(place, version.digest) for _ in range(TRIES)]
    assert [type(each) for each in outcomes] == [*[Unavailable] * (TRIES - 1), Unusable]
    assert "no wheel for this machine" in str(outcomes[-1])
    monkeypatch.setattr("crawler.node.worker.bundles.AGAIN_S", 0.01)
    monkeypatch.setattr("crawler.node.worker.bundles.SWEEP_S", 0.01)
    place.start()
    place.deploy(version)
    eventually(lambda: len(tried) > 3 * TRIES)
    assert place.offers == []


def test_a_project_that_takes_long_keeps_no_other_one_waiting(place):
    slow, fast = place.made("slow"), place.made("fast")
    usual, is_there = place.masters.fetch, Event()

    def fetch(digest):
        if digest == slow.digest:
            is_there.wait()
        yield from usual(digest)

    place.bundles.fetch = fetch
    place.start()
    place.deploy(slow, name="a")
    place.deploy(fast, name="b")
    eventually(lambda: place.offers == [{"b/fast"}])
    place.deploy(fast, slow, name="a")  # before the other one is there
    eventually(lambda: place.offers[1:] == [{"a/fast", "b/fast"}])
    is_there.set()
    eventually(lambda: place.bundles.ready(slow.digest))
    assert place.bundles.spiders() == {"a/fast", "b/fast"}


def test_a_project_that_is_deleted_is_not_offered_any_more(place):
    version = place.made("books")
    place.start()
    place.deploy(version)
    eventually(lambda: place.offers)
    place.store.txn([], [Delete(KEYS.project("shop"))])
    eventually(lambda: place.offers[-1] == frozenset())
    assert place.bundles.metadata() == {}


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", '{"shop": 1}'])
def test_what_another_program_says_of_bundles_says_nothing(text):
    assert bundles_in({"bundles": text}) == {}
    assert bundles_in({}) == {}
