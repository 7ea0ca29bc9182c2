"""Nodes as people run them beside an etcd with certificates and users: real processes."""

import json
import time

import pytest

from crawler.local import cluster as cluster_module
from crawler.local.cluster import HOST, LocalCluster, is_ready
from crawler.local.etcd import EmbeddedEtcd
from crawler.local.ports import free_ports
from tests import forks
from tests.contract.certificates import issue
from tests.contract.test_etcd_users import CHEAP
from tests.integration.lab import call
from tests.waiting import PATIENCE_S, eventually

PASSWORD = "open-sesame"
TTL_S = 2
CONFIG = f"""
etcd: {{ca: tls/ours-ca.pem, cert: tls/ours.pem, key: tls/ours.key, user: crawler}}
coordination: {{lease_ttl_s: {TTL_S}}}
scheduler: {{seed: false}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of the settings, with the certificates below it."""
    made = tmp_path_factory.mktemp("etcd")
    (made / "tls").mkdir()
    (made / "config.yaml").write_text(CONFIG)
    return made


@pytest.fixture(scope="module")
def etcd(folder):
    """With TLS, and a user who has a role for the crawler's own keys only."""
    started = EmbeddedEtcd(tls=issue(folder / "tls", "ours"), flags=CHEAP)
    started.start()
    started.etcdctl("user", "add", "root:top-secret")
    started.etcdctl("user", "grant-role", "root", "root")
    started.etcdctl("user", "add", f"crawler:{PASSWORD}")
    started.etcdctl("role", "add", "crawler")
    for prefix in ("/resources", "/micro/registry", "/crawler"):
        grant = ("grant-permission", "crawler", "--prefix=true", "readwrite", prefix)
        started.etcdctl("role", *grant)
    started.etcdctl("user", "grant-role", "crawler", "crawler")
    started.etcdctl("auth", "enable")
    yield started
    started.stop()


@pytest.fixture
def start(folder, etcd):
    """Starts nodes, and ends them after the test."""
    started = []

    def start(role, password=PASSWORD):
        http, grpc = (f"{HOST}:{port}" for port in free_ports(2))
        command = [*forks.COMMAND, role, f"--http={http}", f"--grpc={grpc}"]
        command += [f"--etcd={etcd.endpoint}", f"--config={folder / 'config.yaml'}"]
        environment = {"CRAWLER_ETCD_PASSWORD": password}
        log = folder / f"{role}-{len(started)}.log"
        process = forks.ForkedProcess(role, command, environment, log)
        started.append(process)
        process.start()
        return http, process

    yield start
    for process in started:
        process.stop()


def registrations(etcd):
    """Key → revision at which each registration was made."""
    listed = etcd.etcdctl(
        "get", "--prefix", "/micro/registry/", "-w=json", "--user=root:top-secret"
    )
    return {kv["key"]: kv["create_revision"] for kv in json.loads(listed)["kvs"]}


def test_a_cluster_runs_with_certificates_and_a_user(start, etcd):
    (master, _), (worker, _) = start("master"), start("worker")
    eventually(lambda: is_ready(master) and is_ready(worker))
    port = int(master.rpartition(":")[2])
    status, _, body = call(port, "POST", "/crawler/resource", {"name": "task"})
    assert (status, json.loads(body)["id"]) == (200, "go.micro.server.worker-1")
    before, begun_s = registrations(etcd), time.monotonic()
    eventually(lambda: time.monotonic() > begun_s + TTL_S + 1.0)
    assert registrations(etcd) == before, "the leases were renewed"
    assert len(before) == 2


def test_a_wrong_password_ends_the_node_with_a_word_of_it(start):
    _, process = start("worker", "guessed-wrong")
    assert process.wait(PATIENCE_S)
    assert process.exit_code == 1
    written = process.tail(50)
    assert "etcd refuses the user 'crawler' or its password" in written
    assert "CRAWLER_ETCD_PASSWORD" in written
    assert "guessed-wrong" not in written


def test_a_local_cluster_has_an_etcd_of_its_own_whatever_the_settings_say(
    folder, etcd, monkeypatch
):
    monkeypatch.setattr(cluster_module, "LocalProcess", forks.ForkedProcess)
    with LocalCluster(str(folder / "config.yaml"), masters=1, workers=0) as cluster:
        assert is_ready(cluster.masters[0].http)
