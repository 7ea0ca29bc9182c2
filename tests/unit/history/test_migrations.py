"""Upgrades of the tables of a history, in native threads of one process."""

import gevent
import pytest
import sqlalchemy as sa
from gevent.threadpool import ThreadPool

from crawler.history.database import Database
from crawler.history.migrations.steps import HEAD, current
from crawler.history.threads import in_thread

MANY = 8


@pytest.fixture
def threads():
    pool = ThreadPool(MANY)
    yield pool
    pool.kill()


def test_several_databases_are_brought_up_to_date_at_once(threads, tmp_path):
    """As by masters that share a process."""
    databases = [Database(f"sqlite:///{tmp_path}/{number}.db") for number in range(MANY)]
    upgrading = [gevent.spawn(in_thread, threads, each.migrate) for each in databases]
    gevent.joinall(upgrading, raise_error=True)
    for number, database in enumerate(databases):
        database.close()
        engine = sa.create_engine(f"sqlite:///{tmp_path}/{number}.db", poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            assert current(connection) == HEAD
