"""The wall clock of a master is set back: ids never go back, and none is given twice."""

import pytest


class ClockBack:
    """Sets the wall clock of one master back by so much; healing sets it right."""

    def __init__(self, node, hours=1.0):
        self._title = node.title
        self._offset_ns = int(hours * 3600e9)

    def inject(self, arena):
        arena.clock_file(self._title).write_text(str(-self._offset_ns))

    def heal(self, arena):
        arena.clock_file(self._title).write_text("0")


@pytest.mark.faults
@pytest.mark.parametrize("hours", [1, -1], ids=["back", "ahead"])
def test_ids_only_rise_whatever_the_clock_and_the_leader(arena, hours):
    names = [f"{moment} the clock was {hours}" for moment in ("before", "while", "after", "other")]
    old = arena.next_leader()
    arena.client.add(names[0])
    fault = ClockBack(old, hours)
    fault.inject(arena)
    arena.client.add(names[1])
    created_s = arena.lab.resource(names[1])["CreationTime"] / 1e9
    gone_s = arena.lab.resource(names[0])["CreationTime"] / 1e9 - created_s
    assert abs(gone_s - hours * 3600) < 60, "its clock was set"
    fault.heal(arena)
    arena.client.add(names[2])
    old.process.kill()
    arena.client.add(names[3])
    arena.lab.start(old.title, ready=False)
    arena.at_full_strength()
    ids = [int(arena.lab.resource(name)["ID"]) for name in names]
    assert ids == sorted(set(ids))
    arena.check()
