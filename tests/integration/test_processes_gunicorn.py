"""The same roles behind gunicorn: they start and leave with its processes."""

import contextlib
import json
import socket

import pytest

from crawler.local.ports import free_ports
from tests.depth import deep
from tests.integration.lab import ROOT, call, terminate
from tests.waiting import PATIENCE_S, eventually

PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())


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


@deep
def test_a_spider_that_cannot_be_loaded_stops_it_too(lab, serve):
    (lab.folder / "broken.yaml").write_text("spiders: [none.py]")
    server = serve(
        "gunicorn -k gevent --bind 127.0.0.1:PORT_HERE app:worker",
        CRAWLER_CONFIG=str(lab.folder / "broken.yaml"),
    )
    assert server.process.wait(PATIENCE_S)
    assert server.process.exit_code == 4
    told = server.process.tail(100)
    assert f"spiders[0]: '{lab.folder / 'none.py'}' is not there" in told
    assert "Traceback" not in told
    assert lab.registered() == set()


@contextlib.contextmanager
def open_request(server):
    """A request whose body never comes; gunicorn waits for its end before it ends itself."""
    with socket.create_connection(("127.0.0.1", server.http), timeout=PATIENCE_S) as connection:
        connection.sendall(
            b"POST /crawler/resource HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\n"
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
