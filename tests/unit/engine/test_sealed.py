"""Bytes with a checksum: nothing that has changed, or moved, is taken for what was written."""

import pytest

from crawler.engine.frontier.sealed import BrokenSeal, opened, sealed

WRITTEN = sealed(b"what was written", "run", 3)


def test_what_was_sealed_is_opened_at_its_place():
    assert opened(WRITTEN, "run", 3) == b"what was written"


@pytest.mark.parametrize("at", range(len(WRITTEN)))
def test_whatever_byte_has_changed_is_noticed(at):
    changed = bytearray(WRITTEN)
    changed[at] ^= 0x10
    with pytest.raises(BrokenSeal):
        opened(bytes(changed), "run", 3)


@pytest.mark.parametrize("place", [("run", 4), ("step", 3), ("run",)])
def test_a_value_in_another_place_is_noticed(place):
    with pytest.raises(BrokenSeal):
        opened(WRITTEN, *place)


@pytest.mark.parametrize("blob", [b"", b"abc", None, 7, "text"])
def test_what_never_was_sealed_is_noticed(blob):
    with pytest.raises(BrokenSeal):
        opened(blob, "run", 3)
