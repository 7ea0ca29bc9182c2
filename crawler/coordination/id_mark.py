"""The mark of the ids: the highest id given out, so that no later leader repeats one.

Every transaction of the ledger compares the revision of the mark. To rewrite the mark therefore
prevents a transaction whose answer was lost from being applied later.
"""

from __future__ import annotations

from collections.abc import Sequence

from crawler.coordination.keys import Keys
from crawler.coordination.snowflake import is_usable
from crawler.coordination.store import Compare, Get, KeyValue, Put, Store, unchanged
from crawler.logs import get_logger

log = get_logger(__name__)

NO_ID = b"0"
"""The value of the mark before the first id was given out."""


class IdMark:
    """The mark, as this leader last saw it."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self.key = keys.snowflake
        self._highest = 0
        """The highest id that the mark must stand for. It never falls, whatever is committed."""
        self._revision = 0
        """The mod revision of the mark when it was last seen. If that is outdated, the store
        refuses the transaction and returns the present one; nothing is lost."""

    def highest(self) -> int:
        """Read the highest id stored so far; 0 if there is none. Raises Retryable."""
        kv = self._store.get(self.key)
        self.saw(kv)
        self._highest = _id_in(kv) if kv is not None else 0
        return self._highest

    def read(self) -> KeyValue | None:
        """Read the mark as it is stored now. Raises Retryable."""
        return self._store.get(self.key)

    def get(self) -> Get:
        """Return the operation that reads the mark in a transaction."""
        return Get(self.key)

    def saw(self, found: KeyValue | None) -> None:
        """Note the revision of the mark after a read."""
        self.written_at(found.mod_revision if found else 0)

    def written_at(self, revision: int) -> None:
        """Note that the mark was written at that revision."""
        self._revision = revision

    def unchanged(self) -> Compare:
        """Return the condition that nobody has written the mark since it was seen."""
        return unchanged(self.key, self._revision)

    def rewrite(self, found: KeyValue | None) -> Put:
        """Return the operation that writes the mark again with the same value."""
        return Put(self.key, found.value if found else NO_ID)

    def raise_to(self, minted: int) -> Sequence[Put]:
        """Return the operation that raises the mark to a new id; none if `minted` is 0."""
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
