"""What a process imports before it needs it: nothing that is in these lists."""

import json
import os
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from crawler.api.health import Health
from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.api.rpc.server import RpcServer
from crawler.api.rpc.worker import CrawlsServicer
from crawler.cli.base import commands
from crawler.cli.index import INDEX
from crawler.metrics import Metrics
from crawler.model.projects import Version
from crawler.model.records import Owner, Spec
from crawler.runtime import quiet_grpc
from crawler.settings.sections import ApiSettings
from tests.depth import deep
from tests.integration.lab import ROOT, crawler_here
from tests.site import Site
from tests.site.crawling import lines
from tests.unit.api.fakes import CALL, FakeBackend, FakeLogs, Master, running
from tests.unit.api.test_worker_statistics import FakeCrawls
from tests.waiting import PATIENCE_S

CLUSTER = {
    *("grpc", "google.protobuf", "pyetcd", "flask", "prometheus_client", "pluggy"),
    "opentelemetry",
}
CRAWL = {"crawler.engine", "lxml", "parsel", "pycurl"}
STORES = {"sqlite3", "sqlalchemy", "pyarrow", "redis"}
TEXTS = {"marshmallow", "yaml"}

COMMAND_LINE = CLUSTER | CRAWL | STORES | TEXTS | {"gevent", "ssl", "logging", "subprocess"}
"""What neither `--version` nor `--help` imports."""
CLIENT = (CLUSTER | CRAWL | STORES | TEXTS | {"crawler.node", "crawler.scheduler"}) - {
    "grpc",
    "google.protobuf",
}
"""What a command that asks a master does not import."""
ENGINE = (CLUSTER | STORES | TEXTS | {"crawler.node", "crawler.api", "crawler.coordination"}) - {
    "pluggy"
}
"""What the engine does not import, nor a crawl that writes JSON lines."""

RUN = """
import sys
from crawler.cli import main
status = main()
print(*sys.modules, file=sys.stderr)
sys.exit(status)
"""
"""The command line, and then what it has imported."""


def python(code, *arguments, cwd=ROOT, **environment):
    """Run code in a process of its own: standard output, and the last line of the errors."""
    done = run(code, *arguments, cwd=cwd, **environment)
    return done.stdout, done.stderr.splitlines()[-1]


def run(code, *arguments, cwd=ROOT, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


ALL = """
import io, json, sys
from contextlib import redirect_stdout
from crawler.cli import main
for arguments in json.loads(sys.argv[1]):
    before = set(sys.modules)
    sys.argv[1:] = arguments
    with redirect_stdout(io.TextIOWrapper(io.BytesIO())) as out:
        status = main()
        out.flush()
    said = len(out.buffer.getvalue())
    print(json.dumps([status, said, sorted(set(sys.modules) - before)]), file=sys.stderr)
"""
"""One command after the other: its status, how much it said, and what it alone has imported."""


def one_after_the_other(commands, **environment):
    """Run commands in one process, as each start costs half a second: what each has imported that
    none before it had."""
    done = run(ALL, json.dumps(commands), **environment)
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]
    for command, (status, said, _) in zip(commands, told, strict=True):
        assert (command, status) == (command, 0)
        assert said, command
    return [" ".join(modules) for *_, modules in told]


def imported(told, names):
    """Which of these modules and packages were imported."""
    return names & set(told.split())


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_command_line_alone_imports_nothing_that_commands_need(option):
    said, told = python(RUN, option)
    assert imported(told, {"click", "crawler.cli"})
    assert not imported(told, COMMAND_LINE)
    assert said


def test_help_names_each_command_with_its_own_first_sentence():
    listed = crawler_here("--help", COLUMNS="80").stdout.partition("Commands:")[2]
    for name, source in INDEX.items():
        assert source.help == commands.commands[name].get_short_help_str(1000)
        assert f"\n  {name} " in listed
        assert source.help.split()[-1] in listed


CLIENTS = {
    "add": ["novel"],
    "again": ["fiction"],
    "pause": ["fiction"],
    "resume": ["fiction"],
    "run TASK": ["fiction"],
    "stop": ["fiction"],
    "alert": ["rule", "list"],
    "alerts": [],
    "audit": [],
    "delete": ["--label=team=none"],
    "deploy": [str(ROOT / "tests" / "data" / "project"), "--project=shop"],
    "drain": ["2"],
    "explain": ["fiction"],
    "history": ["fiction"],
    "logs": ["fiction", "--run=1"],
    "nodes": [],
    "runs": [],
    "plugins": [],
    "projects": [],
    "rollback": ["shop", "a" * 64],
    "schedule": ["list"],
    "secret": ["list"],
    "spiders": [],
    "stats": ["fiction"],
    "strategy": ["random"],
    "task": ["fiction"],
    "tasks": [],
    "token": ["list"],
    "uncordon": ["2"],
    "update": ["fiction", "--set", "priority=2"],
}
READS_FIELDS = {
    name: {"marshmallow"}
    for name in ("add", "stats", "update", "again", "schedule", "secret", "alert", "alerts")
}
"""What some need all the same."""


def test_each_command_that_asks_a_master_is_tested():
    assert CLIENTS.keys() == {
        name for name, source in INDEX.items() if source.prepare is quiet_grpc
    } - {"login", "logout"}  # these ask a provider


@pytest.fixture(scope="module")
def cluster():
    """The address of a master, with a task on a worker."""
    servicer = CrawlsServicer(FakeCrawls(), logs=FakeLogs())
    worker = RpcServer("127.0.0.1:0", Health(), Metrics(), ApiSettings(), servicer=servicer)
    worker.start()
    backend = FakeBackend()
    version = Version("a" * 64, spiders=("books",))
    bundles = SimpleNamespace(take=lambda project, chunks, by: (list(chunks), version)[1])
    reached = f"127.0.0.1:{worker.port}"
    reach = lambda _: CrawlsClient(reached)  # noqa: E731
    with running(Master(backend, bundles=bundles, reach=reach)) as (master,):
        added = backend.add(Spec("fiction", "books"), CALL)
        owner = Owner("w-1", f"127.0.0.1:{worker.port}")
        backend.resources["fiction"] = added.replace(owner=owner)
        yield master.address
    worker.stop(0)


def test_a_command_that_asks_a_master_imports_no_engine(cluster):
    names = sorted(CLIENTS, key=lambda name: name in READS_FIELDS)
    commands = [[name, *CLIENTS[name]] for name in names]
    told = one_after_the_other(commands, CRAWLER_MASTER=cluster)
    assert imported(told[0], {"grpc"})
    for name, its in zip(names, told):
        assert imported(its, CLIENT) <= READS_FIELDS.get(name, set()), name


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=deep), signal.SIGTERM])
def test_draining_can_be_interrupted(cluster, number):
    """FakeBackend never empties a worker."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crawler", "drain", "2", "--wait", "--master", cluster],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().endswith("has 2 unfinished tasks left\n")
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert said.lstrip() == "crawler: interrupted\n"
    assert process.returncode == 130


def test_a_command_that_waits_for_an_answer_can_be_interrupted():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "crawler", "tasks", "--master", address],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        with silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=PATIENCE_S)
    assert said.lstrip() == "crawler: interrupted\n"
    assert process.returncode == 130


def test_the_engine_imports_neither_cluster_nor_stores():
    code = "import sys, crawler.engine.engine, crawler.engine.spiders.loader as _;"
    _, told = python(code + "print(*sys.modules, file=sys.stderr)")
    assert imported(told, {"crawler.engine", "lxml", "pycurl"})
    assert not imported(told, ENGINE)


TRACES = {"opentelemetry.sdk.trace", "opentelemetry.exporter", "requests", "crawler.tracing.otlp"}
"""What a node without a collector does not import. The client of Redis takes metrics of
OpenTelemetry by itself, if that is installed."""


def test_a_master_imports_no_engine():
    code = "import sys, crawler.gunicorn as _; from crawler.node.node import Node;"
    code += "from crawler.settings import config; Node('master', config.load(None, {}));"
    _, told = python(code + "print(*sys.modules, file=sys.stderr)")
    assert imported(told, {"crawler.node.master", "crawler.api"})
    assert not imported(told, {"crawler.engine", "lxml", "parsel"} | TRACES)


CRAWLING = STORES | {
    *("lxml", "parsel", "crawler.engine.engine", "crawler.engine.crawl.crawl"),
    *("crawler.engine.http", "crawler.engine.download", "crawler.engine.spiders"),
    *("crawler.engine.hookspecs", "my_spider", "crawler.node.crew.in_process"),
}
"""What a worker whose crawls are in other processes does not import. libcurl is none of these: it
renews leases."""


@pytest.mark.parametrize("redis", ["", "redis://127.0.0.1:1/0"], ids=["files", "redis"])
def test_a_worker_with_crawl_processes_imports_no_engine(tmp_path, redis):
    (tmp_path / "my_spider.py").write_text(SPIDER)
    code = "import sys, crawler.gunicorn as _; from crawler.node.node import Node;"
    code += "from crawler.settings import config; Node('worker', config.load(None, {"
    code += "'CRAWLER_WORKER_PROCESSES': '2', 'CRAWLER_SPIDERS': 'my_spider',"
    code += f"'CRAWLER_FRONTIER_URL': {redis!r}}}));"
    _, told = python(code + "print(*sys.modules, file=sys.stderr)", cwd=tmp_path)
    assert imported(told, {"crawler.node.worker", "crawler.node.crew.processes"})
    # What limits requests loads its own client of Redis, which is never used.
    assert not imported(told, (CRAWLING | TRACES) - {"redis"})


@pytest.fixture
def items(tmp_path):
    """The items of a task in JSON lines and in CSV: more than a pipe holds."""
    folder = tmp_path / "items" / "shop"
    folder.mkdir(parents=True)
    (folder / "1-1.jsonl").write_text('{"n": 1}\n' * 50_000)
    (folder / "1-1.csv").write_bytes(b"n\r\n" + b"1\r\n" * 50_000)
    return tmp_path / "items"


def test_reading_items_imports_neither_engine_nor_cluster_nor_settings(items):
    ways = [["shop"], ["shop", "--from", "csv"], []]
    told = one_after_the_other([["items", *way, "--folder", str(items)] for way in ways])
    assert imported(told[0], {"crawler.items"})
    for way, its in zip(ways, told):
        assert not imported(its, CLUSTER | CRAWL | STORES | TEXTS | {"crawler.settings"}), way


@pytest.mark.parametrize(
    "format", ["json", pytest.param("jsonl", marks=deep), pytest.param("csv", marks=deep)]
)
def test_items_that_nobody_reads_on_end_the_command_quietly(items, format):
    command = [sys.executable, "-m", "crawler", "items", "shop", "--format", format]
    process = subprocess.Popen(
        [*command, "--folder", str(items)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


SPIDER = """
from crawler import Spider

class Titles(Spider):
    name = "titles"

    def parse(self, response):
        yield {"title": response.css("title::text").get()}
"""


def test_a_crawl_to_json_lines_imports_neither_cluster_nor_stores(site, tmp_path):
    spider, items = tmp_path / "titles.py", tmp_path / "items.jsonl"
    spider.write_text(SPIDER)
    start = f"start_urls={site.url('/page/a')}"
    arguments = (spider, "-o", items, "-a", start)
    _, told = python(RUN, "runspider", *arguments, cwd=tmp_path)
    assert [item["title"] for item in lines(items)] == ["/page/a"]
    assert not imported(told, ENGINE)


WRITE = """
import sys
from pathlib import Path
from crawler.runtime import patch
patch()
from gevent import monkey
from crawler.engine.items.sinks.factory import Sinks

class Watch:
    threads = set()

    def find_spec(self, name, path=None, target=None):
        if name in ("sqlalchemy", "psycopg"):
            self.threads.add((name, monkey.get_original("_thread", "get_ident")()))

sys.meta_path.insert(0, Watch())
hub = monkey.get_original("_thread", "get_ident")()
folder, names, databases = Path(sys.argv[1]), sys.argv[2].split(), dict(
    each.split("=", 1) for each in sys.argv[3:]
)
sinks = Sinks(databases)
sink = sinks.choose(names, folder / "items", "task", "table", ())
made = "sqlalchemy" in sys.modules
sink.open()
sink.write({"a": 1}, "http://h/")
sink.close()
sinks.close()
import json
told = {"made": made, "by": sorted({n: t == hub for n, t in Watch.threads}.items())}
print(json.dumps(told), file=sys.stderr)
"""
"""Write an item as a worker does: whether SQLAlchemy was there before it was opened, and whether
the hub has imported it."""


@pytest.mark.parametrize(
    ("names", "databases", "told"),
    [
        ("jsonl csv", (), {"made": False, "by": []}),
        pytest.param("sqlite", (), {"made": False, "by": [["sqlalchemy", False]]}, marks=deep),
        (
            "jsonl",
            ("shop=postgresql://nobody@127.0.0.1:1/shop",),
            {"made": True, "by": [["psycopg", False], ["sqlalchemy", False]]},
        ),
    ],
    ids=["files", "sqlite", "named"],
)
def test_the_hub_never_imports_sqlalchemy(tmp_path, names, databases, told):
    _, last = python(WRITE, tmp_path, names, *databases)
    assert json.loads(last) == told
    assert any(tmp_path.iterdir())
