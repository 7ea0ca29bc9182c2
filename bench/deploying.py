"""How long it takes from `crawler deploy` until the spider asks for its first page: `make
bench-deploy`.

The cluster is one of real processes: a master, two workers, an etcd. Each round deploys another
version, and adds a task of it when the command has ended.
"""

from __future__ import annotations

import statistics
import sys

from crawler.runtime import prepare

prepare()

import subprocess  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from contextlib import closing  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from bench.table import Row, as_json, print_rows, write  # noqa: E402
from crawler.api.backend import Call  # noqa: E402
from crawler.api.rpc.client import Client  # noqa: E402
from crawler.local.cluster import LocalCluster  # noqa: E402
from crawler.model.records import Spec  # noqa: E402
from tests.site import Site  # noqa: E402

ROUNDS = 5
MOST_S = 10.0
WITHIN_S = 120.0
TO = Path("deploying.json")
SETTINGS = "crawl: {robots: false}\n"
SPIDER = """
from crawler import Spider


class Books(Spider):
    name = "books"

    def parse(self, response):
        yield {{"version": {number}}}
"""


def main() -> int:
    """Measure, print and write; 1 when the bound was missed."""
    with tempfile.TemporaryDirectory() as folder, Site() as site:
        settings = Path(folder, "settings.yaml")
        settings.write_text(SETTINGS)
        with LocalCluster(str(settings), masters=1, workers=2) as cluster:
            took = [
                _took_s(cluster.masters[0].grpc, site, Path(folder, "shop"), number)
                for number in range(ROUNDS)
            ]
    told = f"{statistics.median(took):.1f} s, worst {max(took):.1f} s"
    bound = f"<= {MOST_S:g} s each"
    title = "from `crawler deploy` to the first request, without requirements"
    rows = [Row(title, told, bound, max(took) <= MOST_S, {"took_s": took})]
    print_rows(rows)
    write(TO, {"rows": as_json(rows)})
    return int(any(row.holds is False for row in rows))


def _took_s(master: str, site: Site, project: Path, number: int) -> float:
    """Deploy a version, add a task, and wait until the site is asked for its page."""
    project.mkdir(exist_ok=True)
    (project / "books.py").write_text(SPIDER.format(number=number))
    page = f"/page/{number}"
    began_s = time.monotonic()
    command = [sys.executable, "-m", "crawler", "deploy", str(project), "--project", "shop"]
    subprocess.run([*command, "--master", master], check=True, capture_output=True)
    with closing(Client(master)) as client:
        spec = Spec(f"task-{number}", "books", {"start_urls": [site.url(page)]}, project="shop")
        client.submit(spec, Call(10.0))
        while page not in site.paths():
            assert time.monotonic() - began_s < WITHIN_S, "the spider does not begin"
            gevent.sleep(0.01)
    return time.monotonic() - began_s


if __name__ == "__main__":
    sys.exit(main())
