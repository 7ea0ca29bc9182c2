"""The high-water mark of the ids: the highest id given out, so that no later leader repeats one.

Every transaction of the ledger compares the mark's revision. To write the mark anew therefore bars
a transaction whose answer was lost from being carried out later.
"""

from __future__ import annotations

from collections.abc import Sequence

from crawler.coordination.keys import Keys
from crawler.coordination.snowflake import is_usable
from crawler.coordination.store import Compare, Get, KeyValue, Put, Store, unchanged
from crawler.logs import get_logger

log = get_logger(__name__)

NO_ID = b"0"
"""The mark where no id was given out yet."""


class IdMark:
    """The mark, as this leader last saw it."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self.key = keys.snowflake
        self._highest = 0
        """The highest id that the mark has to stand for; it never falls, whatever is committed."""
        self._revision = 0
        """Mod revision of the mark when it was last seen; if that is out of date, nothing is lost:
        the store refuses, and tells the present one."""

    def highest(self) -> int:
        """The highest id stored so far, read anew; 0 for none. Raises Retryable."""
        kv = self._store.get(self.key)
        self.saw(kv)
        self._highest = _id_in(kv) if kv is not None else 0
        return self._highest

    def read(self) -> KeyValue | None:
        """What is stored now. Raises Retryable."""
        return self._store.get(self.key)

    def get(self) -> Get:
        """Reads the mark in a transaction."""
        return Get(self.key)

    def saw(self, found: KeyValue | None) -> None:
        """The mark was read."""
        self.written_at(found.mod_revision if found else 0)

    def written_at(self, revision: int) -> None:
        """The mark was written at that revision."""
        self._revision = revision

    def unchanged(self) -> Compare:
        """The condition that nobody has written the mark since it was seen."""
        return unchanged(self.key, self._revision)

    def rewrite(self, found: KeyValue | None) -> Put:
        """Writes the mark again as it stands."""
        return Put(self.key, found.value if found else NO_ID)

    def raise_to(self, minted: int) -> Sequence[Put]:
        """Raises the mark to a new id; nothing to do for 0."""
        if not minted:
            return ()
        self._highest = max(self._highest, minted)
        return (Put(self.key, str(self._highest).encode()),)


def _id_in(kv: KeyValue) -> int:
    mark = int(kv.value) if kv.value.isdigit() and len(kv.value) < 20 else -1
    if is_usable(mark):
        return mark
    log.error(
        "the mark of the ids cannot be read; ids start again from the clock",
        key=kv.key,
        value=kv.value[:80].decode(errors="replace"),
    )
    return 0
