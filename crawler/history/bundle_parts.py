"""The table of the parts of bundles. A native thread makes all calls, and imports this file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from crawler.history.database import translated
from crawler.history.engines import engine_at
from crawler.history.migrations.steps import migrate
from crawler.history.tables import BUNDLE_PARTS


class BundleParts:
    """The rows of bundles in the database at a URL. Each method raises Away if it does not
    answer."""

    @translated
    def __init__(self, url: str, folder: str) -> None:
        """Make the tables if they are not there. Raises ConfigError for a bad URL."""
        self._engine = engine_at(url, folder)
        migrate(self._engine)

    @translated
    def put(self, digest: str, rows: Iterator[Mapping[str, Any]]) -> None:
        """Write all rows of a bundle, or none of them. Another master may put the same: one of
        both has written it then."""
        try:
            with self._engine.begin() as connection:
                for row in rows:
                    connection.execute(sa.insert(BUNDLE_PARTS), row)
        except sa.exc.IntegrityError:
            if digest not in self.digests():
                raise

    @translated
    def digests(self) -> Collection[str]:
        """Return the digests of all bundles."""
        columns = BUNDLE_PARTS.c
        with self._engine.connect() as connection:
            return set(connection.scalars(sa.select(columns.digest).where(columns.part == 0)))

    def of(self, digest: str) -> Iterator[bytes]:
        """Yield the parts of a bundle in their order."""
        part = 0
        while (data := self._part(digest, part)) is not None:
            yield data
            part += 1

    @translated
    def remove(self, digest: str) -> None:
        """Remove the rows of a bundle."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(BUNDLE_PARTS).where(BUNDLE_PARTS.c.digest == digest))

    @translated
    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @translated
    def _part(self, digest: str, part: int) -> bytes | None:
        columns = BUNDLE_PARTS.c
        query = sa.select(columns.data).where(columns.digest == digest, columns.part == part)
        with self._engine.connect() as connection:
            return connection.scalars(query).one_or_none()
