"""What becomes of a run that has to stop."""

import pytest

from crawler.coordination.codec import encode_resource
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Put
from crawler.errors import Unavailable
from crawler.model.records import Spec, State
from crawler.model.shards import shard_spec
from crawler.node.worker.fates import Fate, fate_of, others_go_on
from crawler.settings.sections import CoordinationSettings
from tests.unit.node.scene import stored

KEYS = Keys(CoordinationSettings())
HEAD = stored(spec=Spec("books", workers=3))
SHARD = stored(spec=shard_spec(HEAD.spec, 2))


@pytest.mark.parametrize(
    ("here", "is_elsewhere", "others", "fate"),
    [
        (SHARD.replace(epoch=9), False, False, Fate.GOES_ON),
        (SHARD.replace(state=State.DONE), False, False, Fate.OVER),
        (SHARD.replace(state=State.FAILED), False, False, Fate.OVER),
        (SHARD.replace(state=State.FAILED, awaits_spider=True), False, False, Fate.GOES_ON),
        (SHARD.replace(state=State.FAILED, stopped=True), False, False, Fate.STOPPED),
        (SHARD.replace(epoch=9, stopped=True), False, False, Fate.GOES_ON),
        (SHARD.replace(id="another"), False, False, Fate.DELETED),
        (SHARD.replace(id="another"), False, True, Fate.DELETED),
        (None, True, False, Fate.GOES_ON),
        (None, False, False, Fate.DELETED),
        (None, False, True, Fate.SHED),
    ],
)
def test_the_resource_says_what_becomes_of_its_run(here, is_elsewhere, others, fate):
    assert fate_of(SHARD, here, is_elsewhere, others) is fate


@pytest.mark.parametrize(
    ("here", "fate"),
    [
        (SHARD.replace(state=State.FAILED), Fate.GOES_ON),
        (SHARD.replace(id="another"), Fate.DELETED),
        (None, Fate.DELETED),
    ],
)
def test_a_failed_run_that_can_go_on_is_kept_until_its_task_is_deleted(here, fate):
    assert fate_of(SHARD, here, False, False, can_go_on=True) is fate


@pytest.mark.parametrize(
    ("resource", "head", "go_on"),
    [
        (SHARD, HEAD, True),
        (SHARD, None, False),
        (SHARD, HEAD.replace(id="another"), False),
        (SHARD, HEAD.replace(state=State.DONE), False),
        (SHARD, HEAD.replace(state=State.FAILED), False),
        (SHARD, HEAD.replace(state=State.FAILED, awaits_spider=True), True),
        (HEAD, HEAD, False),
    ],
)
def test_others_go_on_with_a_shard_as_long_as_its_task_is_there(resource, head, go_on):
    store = MemoryStore()
    if head is not None:
        store.txn([], [Put(KEYS.resource("books"), encode_resource(head))])
    assert others_go_on(store, KEYS, resource) is go_on


def test_they_may_go_on_if_nobody_can_be_asked():
    class Away:
        def get(self, key):
            raise Unavailable("etcd does not answer")

    assert others_go_on(Away(), KEYS, SHARD)
