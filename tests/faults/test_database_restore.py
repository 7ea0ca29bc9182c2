"""A database of items is put back to a dump, as docs/operations/backup.md says, after a crawl has
gone on: it does not know what the database has lost."""

import signal
import subprocess
from collections import Counter

import pytest
import sqlalchemy as sa

from tests.contract.test_sinks import postgres  # noqa: F401
from tests.integration.test_processes_resume import (  # noqa: F401
    PAGES,
    cut_off,
    folder,
    gate,
    here,
    site,
)


@pytest.mark.faults
def test_what_came_after_the_dump_is_missing_until_the_crawl_begins_anew(
    folder,  # noqa: F811
    site,  # noqa: F811
    postgres,  # noqa: F811
):
    to = ("-o", f"{postgres.url}?table=pages")
    cut_off(folder, site, PAGES // 3, *to, by=signal.SIGINT)
    dump = folder / "shop.dump"
    run("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={postgres.url}")
    dumped = pages(postgres)
    cut_off(folder, site, 2 * PAGES // 3, *to, by=signal.SIGINT)
    assert pages(postgres).total() > dumped.total()
    lost = pages(postgres) - dumped
    run("pg_restore", "--clean", f"--dbname={postgres.url}", str(dump))
    assert pages(postgres) == dumped
    status, _, error = here(folder, *to)
    assert status == 0, error
    assert pages(postgres) == Counter(range(PAGES)) - lost, "it fetches none of them again"
    status, _, error = here(folder, *to, kept=("--resume", "kept", "--anew"))
    assert status == 0, error
    assert pages(postgres) == Counter(range(PAGES)), "what was there is replaced"


def pages(server):
    """How often each page is in the table."""
    url = server.url.replace("postgresql:", "postgresql+psycopg:")
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT page FROM pages")).scalars()
        return Counter(int(page) for page in found)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
