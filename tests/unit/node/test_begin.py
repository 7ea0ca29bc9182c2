"""How a schedule begins its task, on a draft."""

import pytest

from crawler.errors import Conflict
from crawler.model.records import Spec, State
from crawler.model.schedules import mark_of
from crawler.node.master.begin import Begin
from tests.unit.node.scene import Scene, stored


@pytest.mark.parametrize("state", [State.FAILED, State.DONE, State.RUNNING])
@pytest.mark.parametrize("spec", [Spec("a"), Spec("a", parameters={"site": "b"})])
def test_it_begins_from_the_beginning_and_waits_for_its_spider(state, spec):
    before = stored(state=state, generation=4, resumes=2)
    draft = Scene(before).draft()
    Begin(spec, mark_of(before)).apply(draft)
    begun = draft.get("a")
    assert begun.generation > 4
    assert (begun.resumes, begun.awaits_spider, begun.state) == (0, True, State.PENDING)
    assert begun.spec == spec


def test_a_firing_that_was_dropped_meanwhile_begins_nothing():
    before = stored(state=State.DONE)
    draft = Scene(before).draft()
    with pytest.raises(Conflict):
        Begin(Spec("a"), mark_of(before), stands=lambda: False).apply(draft)
    assert list(draft.changes()) == []
