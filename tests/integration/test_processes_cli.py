"""The command line of a node: what it refuses, what it says then, and how it leaves."""

import os
import socket
import subprocess
import sys

import pytest

from crawler.local.etcd import EmbeddedEtcd
from crawler.local.ports import free_ports
from tests.integration.lab import ROOT, TTL_S, Lab, crawler, interrupt
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        lab.start("worker-1")
        yield lab


@pytest.fixture(scope="module")
def namesake(lab):
    """Another worker with the id of one that lives; it is started before the other tests."""
    http, grpc = free_ports(2)
    flags = ["--id=1", f"--http=127.0.0.1:{http}", f"--grpc=127.0.0.1:{grpc}"]
    flags += [f"--etcd={lab.etcd.endpoint}", f"--config={lab.folder}/slow.yaml"]
    return lab.fork("namesake", "worker", *flags)


@pytest.fixture(autouse=True)
def _begin_to_wait(namesake):
    """A taken id is waited for; the other tests run meanwhile."""


def test_every_fault_of_the_settings_is_told_in_one_message(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("coordination: {lease_ttl_s: 1}\ncrawl: {delay: 3}\ntasks: [{name: a/b}]\n")
    flags = ["--http=8080", "--grpc=:99999", "--etcd=localhost", "--id=a b", "-c", str(file)]
    done = crawler("master", *flags, CRAWLER_LOGS_LEVEL="loud")
    assert (done.returncode, done.stdout) == (2, "")
    first, *faults = done.stderr.splitlines()
    assert first == "crawler: bad settings, nothing was started:"
    assert sorted(faults) == [
        f"{file}: coordination.lease_ttl_s: 1 given; a whole number from 2 to 300 s is allowed",
        f"{file}: crawl.delay: unknown setting; did you mean delay_s?",
        f"{file}: tasks[0]: name: 'a/b' is not allowed; allowed are 1 to 128 characters without "
        "'/' and control characters, but not 'election'",
        "command line: etcd.endpoints[0]: 'localhost' given; host:port is allowed",
        "command line: node.grpc: ':99999' given; :port or host:port is allowed",
        "command line: node.http: '8080' given; :port or host:port is allowed",
        "command line: node.id: 'a b' given; up to 64 letters, digits, dots, dashes is allowed",
        "environment: logs.level: 'loud' given; one of debug, info, warning, error is allowed",
    ]


@pytest.mark.parametrize("processes", ["-1", "2"], ids=["in-process", "processes"])
def test_spiders_that_cannot_be_loaded_are_all_told(tmp_path, processes):
    (tmp_path / "config.yaml").write_text("spiders: [none.py, {name: x, items: 3}, no.such.module]")
    done = crawler("worker", cwd=tmp_path, CRAWLER_WORKER_PROCESSES=processes)
    assert done.returncode == 2
    assert "crawler: bad settings, nothing was started:" in done.stderr
    assert all(f"spiders[{number}]" in done.stderr for number in range(3))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("role", "server"), [("master", "http"), ("worker", "grpc")])
def test_a_taken_port_is_told_and_nothing_is_registered(lab, role, server):
    before = lab.registered()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        listen = {name: f"127.0.0.1:{port}" for name, port in zip(("http", "grpc"), free_ports(2))}
        listen[server] = f"127.0.0.1:{taken}"
        flags = [f"--{name}={address}" for name, address in listen.items()]
        done = crawler(role, "--id=9", f"--etcd={lab.etcd.endpoint}", *flags)
    assert done.returncode == 2
    message = done.stderr.splitlines()[-1]
    assert message.startswith(f"node.{server}: cannot listen at 127.0.0.1:{taken}")
    assert message.endswith(f"choose another with --{server} or node.{server}")
    assert lab.registered() == before


def test_a_node_may_be_started_before_etcd_is(lab):
    port, http, grpc = free_ports(3)
    flags = (f"--http=127.0.0.1:{http}", f"--grpc=127.0.0.1:{grpc}")
    process = lab.fork("early", "worker", *flags, CRAWLER_ETCD_ENDPOINTS=f"127.0.0.1:{port}")
    eventually(lambda: "cannot register" in process.tail(), what="it tries")
    etcd = EmbeddedEtcd(port=port)
    etcd.start()
    try:
        key = "/micro/registry/go.micro.server.worker/go.micro.server.worker-1"
        eventually(lambda: etcd.etcdctl("get", key), what="it is registered")
        interrupt(process)
        assert process.wait(PATIENCE_S)
        assert process.exit_code == 0
        assert etcd.etcdctl("get", key) == ""
    finally:
        process.kill()
        etcd.stop()


def test_nodes_without_an_id_take_the_lowest_free_numbers(lab):
    flags = ("--http=127.0.0.1:0", "--grpc=127.0.0.1:0", "--etcd", lab.etcd.endpoint)
    processes = []
    for number in (2, 3):
        processes.append(lab.fork(f"nameless-{number}", "worker", *flags))
        eventually(lambda n=number: f"worker-{n}" in lab.registered(), what=f"worker {number}")
    for process in processes:
        assert process.stop() == 0
    assert lab.registered() == {"worker-1"}


CHILDREN = """
from crawler.runtime import prepare
prepare()
import gevent, grpc, subprocess, sys
channel = grpc.insecure_channel(sys.argv[1])
call = channel.unary_unary("/etcdserverpb.KV/Range")
def ask():
    while True:
        try:
            call(b"", timeout=1)
        except grpc.RpcError:
            pass
busy = gevent.spawn(ask)
for _ in range(40):
    assert subprocess.run(["true"], timeout=5).returncode == 0
"""


def test_programs_can_be_started_while_grpc_is_in_use(lab):
    """gRPC's support of forks ends some of them before they begin."""
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN, lab.etcd.endpoint],
        env={**os.environ, "PYTHONPATH": str(ROOT), "GRPC_VERBOSITY": "INFO"},
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "fork" not in done.stderr


def test_a_taken_id_is_told_after_its_lease_could_have_ended(lab, namesake):
    assert namesake.wait(6 * TTL_S)
    assert namesake.exit_code != 0
    assert "Traceback" not in namesake.tail(100)
    message = namesake.tail(1)
    assert message.startswith("crawler: node.id: '1' is taken")
    assert message.endswith("stop that node or give another id")
    assert lab["worker-1"].process.alive
    assert "worker-1" in lab.registered()
