"""What connects to the database of the history.

A native thread imports this file, for it imports SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crawler.errors import ConfigError

DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
"""Scheme of a URL → SQLAlchemy's name for it, with the driver."""
CONNECT_S = 10
LOCK_S = 30
TIMEOUTS: Mapping[str, Any] = {
    "connect_timeout": CONNECT_S,
    "options": f"-c statement_timeout={LOCK_S * 1000} -c lock_timeout={LOCK_S * 1000}",
    "tcp_user_timeout": LOCK_S * 1000,
    "keepalives_idle": CONNECT_S,
    "keepalives_interval": CONNECT_S,
    "keepalives_count": 3,
}
"""What ends a call to PostgreSQL: a statement that takes too long, or a peer that is gone."""


def engine_at(url: str, folder: str) -> sa.Engine:
    """Return what connects to a database. A relative path of SQLite starts at the folder. Raises
    ConfigError for a bad URL."""
    parsed = _parsed(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and parsed.database:
        parsed = parsed.set(database=str(Path(folder, parsed.database)))
    return _engine(parsed, is_sqlite)


def _parsed(url: str) -> sa.URL:
    scheme, _, rest = url.partition("://")
    driver = DRIVERS.get(scheme.partition("+")[0])
    try:
        if driver is None:
            raise sa.exc.ArgumentError
        return sa.make_url(f"{driver}://{rest}")
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(
            f"history.url: {scheme}://… is no address of a database; allowed: sqlite:///FILE, "
            "postgresql://USER:PASSWORD@HOST/DATABASE, or nothing for no history"
        ) from None


def _engine(url: sa.URL, is_sqlite: bool) -> sa.Engine:
    arguments: dict[str, Any] = dict(TIMEOUTS)
    if is_sqlite:
        arguments = {"timeout": LOCK_S}
    try:
        # A pool has locks, which are gevent's here: two native threads that meet at one may wait
        # for ever. The one that writes, and the one that reads, connect for each call.
        engine = sa.create_engine(url, connect_args=arguments, poolclass=sa.NullPool)
    except ImportError as error:
        raise ConfigError(
            f"history.url: the driver of {url.get_backend_name()} is not installed ({error}); "
            "install it: pip install distributed-crawler[sql]"
        ) from None
    if is_sqlite:
        sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    """Readers need not wait for the writer. The last events of a machine that loses power may be
    lost: the next leader finds what they said."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
