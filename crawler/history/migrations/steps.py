"""Brings the tables of the history up to date, with Alembic."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from gevent import monkey

HEAD = "0004"
"""The latest revision of the tables. Revisions are numbers in the order in which they came."""
LOCK = 4_716_001
"""The advisory lock of PostgreSQL under which one master at a time changes the tables."""

_one_at_a_time = monkey.get_original("_thread", "allocate_lock")()
"""Alembic keeps the connection of an upgrade for the whole process, and would mix up two of them.
Only native threads wait for this lock."""


def migrate(engine: sa.Engine, to: str = HEAD) -> None:
    """Upgrade the tables. Those of a later version of the program stay as they are.

    Each revision makes only what is missing, so that one that was cut off can be made again.
    """
    with _one_at_a_time, engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        if current(connection) < to:
            _upgrade(connection, to)


def current(connection: sa.Connection) -> str:
    """Return the revision of the tables; empty if there are none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or ""


def _upgrade(connection: sa.Connection, to: str) -> None:
    from alembic import command  # it takes time to import, and tables are new only once
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
