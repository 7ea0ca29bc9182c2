"""The same roles behind gunicorn: they start and leave with its processes."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.local.ports import free_ports
from tests.depth import deep
from tests.integration.lab import ROOT, call, interrupt, terminate
from tests.waiting import PATIENCE_S, eventually

PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
WORKER = "gunicorn -k gevent --bind 127.0.0.1:PORT_HERE app:worker"
PATIENT = f"{WORKER} --graceful-timeout 3600"
"""It never kills a process that does not end by itself."""


@pytest.fixture
def lab(shared_lab):
    eventually(lambda: not shared_lab.keys("/micro/"), what="the test before has left nothing")
    return shared_lab


class Server:
    """A command that runs gunicorn, and where it answers."""

    def __init__(self, lab, command, **environment):
        self.http, self.grpc = free_ports(2)
        given = {
            "CRAWLER_ETCD_ENDPOINTS": ",".join(lab.endpoints),
            "CRAWLER_CONFIG": str(lab.folder / "slow.yaml"),
            "CRAWLER_NODE_GRPC": f"127.0.0.1:{self.grpc}",
            # Far longer than a test: what is gone was given back, and did not expire.
            "CRAWLER_COORDINATION_LEASE_TTL_S": "60",
            # honcho sets PORT by itself. README names the ports, so nothing uses it.
            "PORT": "1",
            "MASTER_HTTP_PORT": str(self.http),
            "WORKER_HTTP_PORT": str(self.http),
        }
        command = command.replace("PORT_HERE", str(self.http))
        self.process = lab.run(f"gunicorn-{self.http}", command, **{**given, **environment})

    def get(self, path):
        """Status and JSON of a path; None while nobody listens."""
        try:
            status, _, body = call(self.http, "GET", path)
        except OSError:
            return None, None
        return status, json.loads(body)


@pytest.fixture
def serve(lab):
    """Starts gunicorn; what still runs at the end is stopped."""
    servers = []

    def start(command, **environment):
        servers.append(Server(lab, command, **environment))
        return servers[-1]

    yield start
    for server in servers:
        server.process.stop()


def test_each_of_its_processes_is_a_master_of_its_own(lab, serve):
    server = serve("gunicorn -k gevent -w 2 --bind 127.0.0.1:PORT_HERE app:master")
    eventually(lambda: lab.registered() == {"master-1", "master-2"}, what="two masters")
    eventually(lambda: len(candidates(lab)) == 2, what="both stand in the election")
    addresses = {value.partition("-")[2] for value in candidates(lab)}
    assert len(addresses) == 2
    assert f"127.0.0.1:{server.grpc}" in addresses
    eventually(lambda: server.get("/crawler/resource")[0] == 200, what="one of them leads")
    leader = {"id": lab.leading(), "address": lab.leading().partition("-")[2]}
    eventually(lambda: server.get("/crawler/leader") == (200, leader), what="they know who leads")
    # Both processes answer at one port, whichever leads, as soon as they know who does.
    for number in range(8):
        body = {"name": f"web-{number}"}
        eventually(lambda b=body: call(server.http, "POST", "/crawler/resource", b)[0] == 200)
    assert {f"web-{number}" for number in range(8)} <= lab.resources().keys()
    with open_request(server):
        assert_leave_at_once(lab, server)
    assert_end(server)


def test_the_procfile_has_both_roles_at_the_port_they_are_given(lab, serve):
    """A worker takes what the master gives it, and hands it back when it is stopped."""
    assert PROCFILE.keys() == {"web", "worker"}
    master, worker = serve(PROCFILE["web"]), serve(PROCFILE["worker"])
    eventually(lambda: lab.registered() == {"master-1", "worker-1"}, what="both are registered")
    eventually(lambda: worker.get("/readyz")[0] == 200, what="the worker is ready")
    eventually(lambda: master.get("/crawler/resource")[0] == 200, what="the master leads")
    assert worker.get("/crawler/resource")[0] == 404
    assert call(master.http, "POST", "/crawler/resource", lab.specification("behind"))[0] == 200
    eventually(lambda: lab.running("behind") == {"behind": "worker-1"}, what="it runs")
    eventually(lambda: lab.site.visits["behind"], what="it is crawled")
    started_s = terminate(worker.process)
    eventually(lambda: "worker-1" not in lab.registered(), what="it has left")
    eventually(lambda: lab.resource("behind")["State"] == "pending", what="its task waits")
    assert_leave_at_once(lab, master)
    assert_end(worker, master)
    assert not lab.site.crawlers("behind", started_s + 1.0)


@pytest.mark.parametrize("role", ["master", pytest.param("worker", marks=deep)])
def test_bad_settings_stop_it_and_every_fault_is_told_once(lab, serve, role):
    server = serve(
        f"gunicorn -k gevent -w 2 --bind 127.0.0.1:PORT_HERE app:{role}",
        CRAWLER_LOGS_LEVEL="loud",
        CRAWLER_NODE_STOP_S="never",
    )
    assert server.process.wait(PATIENCE_S)
    assert server.process.exit_code == 2
    told = server.process.tail(100)
    assert told.splitlines()[1:] == [
        "crawler: bad settings, nothing was started:",
        "environment: node.stop_s: 'never' given; a number from 0.1 to 600 s is allowed",
        "environment: logs.level: 'loud' given; one of debug, info, warning, error is allowed",
    ]
    assert lab.registered() == set()


BAD = {
    "def broken(:": "spiders[0]: '{file}' cannot be imported (SyntaxError: ",
    "raise ValueError('no shop')": "spiders[0]: '{file}' cannot be imported (ValueError: no shop)",
    "import os; os._exit(0)": "spiders: 5 crawl processes in a row ended with status 0 while they ",
    "": "spiders[0]: '{file}' is not there; ",
}
"""Spiders that cannot be loaded, none at all in the end, and the beginning of what is said."""


@pytest.mark.parametrize(
    ("source", "processes"),
    [
        ("raise ValueError('no shop')", 1),
        *(pytest.param(source, processes, marks=deep) for source in BAD for processes in (1, 3)),
    ],
)
def test_spiders_that_cannot_be_loaded_stop_it_and_one_process_says_why(
    lab, serve, source, processes
):
    file = lab.folder / f"bad-{len(source)}.py"
    if source:
        file.write_text(source)
    server = serve(f"{WORKER} -w {processes}", CRAWLER_CONFIG=settings_of(lab, file))
    assert server.process.wait(PATIENCE_S)
    assert server.process.exit_code == 4
    told = server.process.tail(1000)
    _, said, reason = told.partition("crawler: cannot start, nothing was started:\n")
    assert said
    assert reason.startswith(BAD[source].format(file=file))
    assert said not in reason
    assert "Traceback" not in told
    assert told.count("Booting worker") == processes
    assert lab.registered() == set()


def settings_of(lab, spider):
    """A file of settings that names this spider."""
    path = spider.with_suffix(".yaml")
    path.write_text(f"spiders: [{spider.name}]")
    return str(path)


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=deep)])
def test_processes_that_cannot_start_at_the_same_time_end_it_once(lab, serve, tmp_path, processes):
    """gunicorn itself would end with a traceback: each of them would have it halt."""
    gate, source = (
        tmp_path / "gate",
        "import os, time\n{begun}\nwhile not {gate}: time.sleep(0.01)\n",
    )
    begun = f"open({str(tmp_path)!r} + f'/begun-{{os.getpid()}}', 'w').close()"
    file = tmp_path / "together.py"
    file.write_text(
        source.format(begun=begun, gate=f"os.path.exists({str(gate)!r})") + "raise ValueError"
    )
    server = serve(f"{PATIENT} -w {processes}", CRAWLER_CONFIG=settings_of(lab, file))
    eventually(lambda: len(list(tmp_path.glob("begun-*"))) == processes, what="all of them load")
    gate.touch()
    assert server.process.wait(PATIENCE_S)
    assert server.process.exit_code == 4
    told = server.process.tail(1000)
    assert told.count("crawler: cannot start") == 1
    assert "Traceback" not in told


KILLED_BEFORE_IT_TOLD = """
import os, sys
from crawler import boot
boot.FAILURE.share()
if not os.fork():
    boot.FAILURE.take()
    os._exit(1)
os.wait()
if not os.fork():
    from crawler.runtime import prepare
    prepare()
    from crawler import gunicorn
    gunicorn.LOOKS = 2
    gunicorn.start_node("worker")
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_another_process_tells_if_the_one_that_was_to_tell_was_killed(tmp_path):
    (tmp_path / "bad.yaml").write_text("worker: {processes: many}")
    done = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_IT_TOLD],
        env={**os.environ, "CRAWLER_CONFIG": str(tmp_path / "bad.yaml")},
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * PATIENCE_S,
    )
    assert done.returncode == 4
    assert done.stderr.startswith("crawler: cannot start, nothing was started:\n")
    assert "worker.processes: 'many' given" in done.stderr


ENDLESS = """
import os, time
open({folder!r} + f"/loads-{{os.getpid()}}", "w").close()
time.sleep(3600)
"""


@pytest.mark.parametrize("send", [terminate, pytest.param(interrupt, marks=deep)])
def test_a_signal_ends_it_while_its_spiders_load(lab, serve, tmp_path, send):
    file = tmp_path / "endless.py"
    file.write_text(ENDLESS.format(folder=str(tmp_path)))
    server = serve(PATIENT, CRAWLER_CONFIG=settings_of(lab, file))
    [load] = eventually(lambda: list(tmp_path.glob("loads-*")), what="its spiders load")
    send(server.process)
    assert_end(server)
    told = server.process.tail(1000)
    assert '"node stopped"' in told
    assert '"node started"' not in told
    assert "Traceback" not in told
    crawls = Path("/proc", load.name.partition("-")[2])
    eventually(lambda: not crawls.exists(), what="no process is left")


HELD = """
import os, sys, time
class Held:
    def find_spec(name, *_):
        if name == "crawler.gunicorn":
            open({folder!r} + "/imports", "w").close()
            while not os.path.exists({folder!r} + "/imported"):
                time.sleep(0.01)
sys.meta_path.insert(0, Held)
"""
"""Makes the import of what starts a node wait for a file."""


def test_a_signal_before_there_is_a_node_ends_it_too(lab, serve, tmp_path):
    file = tmp_path / "endless.py"
    file.write_text(ENDLESS.format(folder=str(tmp_path)))
    (tmp_path / "sitecustomize.py").write_text(HELD.format(folder=str(tmp_path)))
    server = serve(PATIENT, CRAWLER_CONFIG=settings_of(lab, file), PYTHONPATH=str(tmp_path))
    eventually((tmp_path / "imports").exists)
    terminate(server.process)
    eventually(lambda: "Handling signal: term" in server.process.tail(1000))
    (tmp_path / "imported").touch()
    assert_end(server)


@contextlib.contextmanager
def open_request(server):
    """A request whose body never comes; gunicorn waits for its end before it ends itself."""
    with socket.create_connection(("127.0.0.1", server.http), timeout=PATIENCE_S) as connection:
        connection.sendall(
            b"POST /crawler/resource HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
        )
        eventually(lambda: server.get("/healthz")[0] == 200, what="it has been taken")
        yield


def assert_leave_at_once(lab, *servers):
    """On SIGTERM the nodes resign and deregister; their processes end when gunicorn is ready."""
    for server in servers:
        terminate(server.process)
    eventually(lambda: lab.registered() == set(), what="they are deregistered")
    eventually(lambda: not candidates(lab), what="they do not stand any more")


def assert_end(*servers):
    """The processes end, and well."""
    for server in servers:
        assert server.process.wait(PATIENCE_S)
        assert server.process.exit_code == 0


def candidates(lab):
    """The values in the election."""
    return {value.decode() for value, _ in lab.keys("/resources/election/").values()}
