"""A task of a deployed project: which worker may have it, and which bundle its run has."""

import json
from types import SimpleNamespace

import pytest

from crawler.coordination.codec import decode_resource, encode_resource
from crawler.errors import InvalidArgument
from crawler.model.projects import Project, Version
from crawler.model.records import Counts, Resource, Spec, State
from crawler.node.master import deployed
from crawler.node.master.assignment import afresh
from crawler.node.master.commands import Update
from crawler.node.master.draft import Draft
from crawler.node.master.life import RunTask
from crawler.node.master.rolling import rolled
from crawler.schemas import task_schemas
from crawler.settings import live
from tests.unit.node.scene import W1, Scene, stored, worker

OLD, NEW = "a" * 64, "b" * 64
TASK = Spec("a", "books", project="shop")
SHOP = Project("shop", NEW, (Version(NEW, spiders=("books",)), Version(OLD, spiders=("old",))))


class Deployed(Scene):
    """A scene in which the project has a newest bundle."""

    newest = OLD

    def draft(self):
        return Draft(
            self.stored.get,
            lambda: next(self._ids),
            lambda: 99,
            self.cluster_state.see,
            lambda spec: spec.bundle or self.newest,
        )


def test_a_task_of_a_project_goes_only_to_a_worker_that_offers_its_spider_of_that_project():
    scene = Deployed(workers=[worker(1, spiders=frozenset({"books"}))])
    scene.add(TASK, Spec("b", "books"))
    assert scene.settle() == {"a": None, "b": "w-1"}
    scene.join(worker(3))  # it lists no spiders, and so knows of no projects
    assert scene.settle()["a"] is None
    scene.join(worker(2, spiders=frozenset({"shop/books"})))
    assert scene.settle()["a"] == "w-2"


def shop_worker(number):
    """A worker that has the project."""
    return worker(number, spiders=frozenset({"shop/books"}))


def test_a_run_keeps_its_bundle_wherever_it_goes_and_the_next_run_has_the_newest():
    scene = Deployed(workers=[shop_worker(1)])
    scene.add(TASK)
    scene.settle()
    assert scene.stored["a"].digest == OLD
    scene.newest = NEW
    scene.join(shop_worker(2))
    scene.leave("w-1")
    assert scene.settle() == {"a": "w-2"}
    assert scene.stored["a"].digest == OLD
    draft = scene.draft()
    scene.store(scene.stored["a"].replace(state=State.DONE))
    RunTask("a").apply(draft)
    scene.store(draft.get("a"))
    scene.settle()
    assert scene.stored["a"].digest == NEW


def test_a_task_that_keeps_to_a_bundle_has_that_one():
    scene = Deployed(workers=[shop_worker(1)])
    scene.newest = NEW
    scene.add(Spec("a", "books", project="shop", bundle=OLD))
    scene.settle()
    assert scene.stored["a"].digest == OLD


def test_a_shard_has_the_bundle_of_its_task():
    head = stored("a", spec=Spec("a", "books", workers=2, project="shop"), digest=OLD, owner=W1)
    scene = Deployed(head, workers=[shop_worker(1)])
    scene.newest = NEW
    draft = scene.draft()
    shard = Spec("a~1", "books", workers=2, shard=1, shard_of="a", project="shop")
    draft.put(Resource(shard, owner=W1.as_owner))
    assert draft.get("a~1").digest == OLD


def test_a_run_that_is_rolled_goes_on_with_the_new_bundle_on_its_worker_in_a_new_epoch():
    running = stored("a", spec=TASK, digest=OLD, counts=Counts(7))
    after = rolled(running, NEW, 5)
    assert (after.owner, after.epoch, after.digest) == (running.owner, running.epoch + 1, NEW)
    assert (after.generation, after.counts) == (running.generation, Counts(7))
    waits = rolled(running.replace(owner=None, state=State.PENDING), NEW, 5)
    assert (waits.digest, waits.epoch) == ("", running.epoch)


def test_another_project_or_bundle_needs_another_run():
    for changed in (Spec("a", "books", project="shop", bundle=OLD), Spec("a", "books")):
        assert any(live.changes(TASK, changed).values())
        scene = Deployed(stored("a", spec=TASK, digest=NEW))
        draft = scene.draft()
        Update(changed).apply(draft)
        assert (draft.get("a").owner, draft.get("a").digest) == (None, "")


def test_a_task_that_keeps_to_another_bundle_is_asked_for_its_spider_there():
    draft = Deployed(stored("a", spec=TASK, digest=NEW)).draft()
    with pytest.raises(InvalidArgument, match="not in it"):
        Update(
            Spec("a", "books", project="shop", bundle=OLD), objection=lambda spec: "not in it"
        ).apply(draft)


def test_what_is_stored_names_project_and_bundle_and_is_as_before_for_other_tasks():
    resource = Resource(
        Spec("a", "books", project="shop", bundle=OLD), id="1", creation_time=5, digest=OLD
    )
    value = json.loads(encode_resource(resource))
    assert (value["Project"], value["Bundle"], value["Digest"]) == ("shop", OLD, OLD)
    assert decode_resource("a", encode_resource(resource), 0) == resource
    plain = encode_resource(Resource(Spec("a"), id="1"))
    assert not any(word in plain for word in (b"Project", b"Bundle", b"Digest"))
    assert afresh(resource).digest == ""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"project": "a/b"}, "project: 'a/b' is not allowed; allowed are 1 to 64 letters"),
        ({"project": 7}, "project: 7 is not allowed"),
        ({"project": "shop", "bundle": "abc"}, "bundle: 'abc' is not allowed; allowed are the 64"),
        ({"bundle": OLD}, "bundle: needs a project; name it with project"),
    ],
)
def test_a_project_that_cannot_be_is_refused(given, told):
    with pytest.raises(InvalidArgument) as error:
        task_schemas.load_spec({"name": "a", **given})
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (TASK, ""),
        (Spec("a", "books", project="toys"), "project: 'toys' is not deployed"),
        (Spec("a", "nope", project="shop"), "spider: 'nope' is not in bundle bbbbbbbbbbbb of"),
        (Spec("a", "books", project="shop", bundle="c" * 64), "is no version of project shop"),
        (Spec("a", "books", project="shop", bundle=OLD), "bundle aaaaaaaaaaaa of project shop"),
    ],
)
def test_a_task_whose_project_lacks_what_it_names_is_refused(spec, told):
    projects = SimpleNamespace(get={"shop": SHOP}.get)
    found = deployed.objection(projects, spec)
    assert told in found
    assert bool(told) is bool(found)
