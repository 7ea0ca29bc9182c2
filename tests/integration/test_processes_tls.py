"""A real cluster with TLS: etcd, two masters and a worker, and certificates of `crawler certs`."""

import contextlib
import http.client
import itertools
import json
import ssl
from pathlib import Path

import gevent
import pytest

from crawler.api.backend import Call
from crawler.api.rpc.client import Client
from crawler.local import cluster as cluster_module
from crawler.local.authority import Authority
from crawler.local.cluster import LocalCluster, is_ready
from crawler.local.ports import free_ports
from crawler.local.processes import LocalProcess
from crawler.model.records import Query, Spec
from crawler.settings.tls_files import Pem
from tests import forks
from tests.depth import examples
from tests.integration.lab import ROOT, crawler_here
from tests.waiting import eventually

CALL = Call(20.0)
CONFIG = """
tls: {ca: tls/ca.pem, cert: tls/node.pem, key: tls/node.key, client_certificates: grpc}
worker: {processes: -1}
crawl: {retries: 0}
spiders: [{name: short, items: [{match: p, fields: {text: p}}]}]
"""
TASK = {"spider": "short", "parameters": {"start_urls": ["http://127.0.0.1:1/"]}}
ENOUGH = examples(50)
"""So many requests of each kind show that nothing fails."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("tls")
    (made / "config.yaml").write_text(CONFIG)
    issue(made)
    return made


@pytest.fixture(scope="module")
def cluster(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster_module, "LocalProcess", forks.ForkedProcess)
        with LocalCluster(str(folder / "config.yaml"), workers=1) as started:
            started.keeps_logs = True
            yield started


@pytest.fixture(scope="module")
def behind_gunicorn(cluster, folder):
    """Another worker, behind gunicorn: its HTTP address and its process, which may still start."""
    port, grpc = free_ports(2)
    environment = {
        "CRAWLER_CONFIG": str(folder / "config.yaml"),
        "CRAWLER_ETCD_ENDPOINTS": cluster.etcd.endpoint,
        "CRAWLER_NODE_GRPC": f"127.0.0.1:{grpc}",
        "PYTHONPATH": str(ROOT),
    }
    at = f"127.0.0.1:{port}"
    command = [str(Path(forks.COMMAND[0]).parent / "gunicorn"), "--bind", at]
    command += ["-c", "python:crawler.gunicorn_conf", "crawler.app:worker"]
    process = LocalProcess("gunicorn", command, environment, folder / "gunicorn.log")
    process.start()
    yield at, process
    process.stop()


def issue(folder):
    """Make the certificate of the nodes anew; its bytes (PEM)."""
    made = Authority.in_folder(folder / "tls").issue("node", ["127.0.0.1"])
    return made.cert.read_bytes()


def pem_of(folder):
    return Pem(
        *((folder / "tls" / name).read_bytes() for name in ("ca.pem", "node.pem", "node.key"))
    )


def options(cluster, folder):
    """What a command needs."""
    tls = folder / "tls"
    return [
        f"--master={cluster.masters[1].grpc}",
        *(f"--tls-ca={tls / 'ca.pem'}", f"--tls-cert={tls / 'node.pem'}"),
        f"--tls-key={tls / 'node.key'}",
    ]


def shown(address, context):
    """The certificate that a server shows to a new connection."""
    with contextlib.closing(http.client.HTTPSConnection(address, context=context)) as to:
        to.connect()
        return ssl.DER_cert_to_PEM_cert(to.sock.getpeercert(binary_form=True)).encode()


def shown_by_grpc(address, folder):
    """The same of a gRPC server."""
    context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.pem"))
    context.load_cert_chain(folder / "tls" / "node.pem", folder / "tls" / "node.key")
    context.set_alpn_protocols(["h2"])
    return shown(address, context)


class Load:
    """Requests of each kind, again and again, until it is told to end; it counts and keeps what
    failed."""

    def __init__(self, cluster, folder):
        self.failed = []
        self.counts = {}
        self._over = False
        self._kept = []
        names = itertools.count()
        kinds = {}
        for node in cluster.masters:
            kept = http.client.HTTPSConnection(node.http, context=cluster.context, timeout=20)
            same = Client(node.grpc, pem=lambda: pem_of(folder))
            self._kept += [kept, same]
            kinds |= {
                f"http anew {node.name}": lambda at=node.http: self._http(at, cluster.context),
                f"http kept {node.name}": lambda to=kept: self._get(to),
                f"grpc anew {node.name}": lambda at=node.grpc: self._grpc(at, folder),
                f"grpc kept {node.name}": lambda to=same: to.submit(
                    Spec(f"load-{next(names)}", "short"), CALL
                ),
            }
        self._going = [gevent.spawn(self._repeat, *kind) for kind in kinds.items()]

    def goes_on(self):
        """Wait for more requests of each kind."""
        before = dict(self.counts)
        eventually(
            lambda: (
                self.failed
                or (
                    len(self.counts) == len(self._going)
                    and all(n >= before.get(kind, 0) + ENOUGH for kind, n in self.counts.items())
                )
            ),
            what="requests of each kind",
        )

    def end(self):
        self._over = True
        gevent.joinall(self._going)
        for each in self._kept:
            each.close()

    def _repeat(self, kind, ask):
        while not self._over:
            try:
                ask()
            except Exception as error:
                self.failed.append((kind, error))
                return
            self.counts[kind] = self.counts.get(kind, 0) + 1
            gevent.sleep(0.02)

    def _http(self, address, context):
        to = http.client.HTTPSConnection(address, context=context, timeout=20)
        with contextlib.closing(to):
            self._get(to)

    def _get(self, connection):
        connection.request("GET", "/crawler/node")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()

    def _grpc(self, address, folder):
        with contextlib.closing(Client(address, pem=lambda: pem_of(folder))) as client:
            client.list(Query(1), CALL)


def test_a_new_certificate_under_load_costs_no_request(cluster, behind_gunicorn, folder):
    at, _ = behind_gunicorn
    eventually(lambda: is_ready(at, cluster.context), what="the worker behind gunicorn is ready")
    load = Load(cluster, folder)
    load.goes_on()
    new = issue(folder).strip()
    for address in (at, *(node.http for node in cluster.nodes)):
        eventually(lambda at=address: shown(at, cluster.context).strip() == new)
    for node in cluster.nodes:
        eventually(lambda at=node.grpc: shown_by_grpc(at, folder).strip() == new)
    load.goes_on()
    load.end()
    assert load.failed == []


def test_nodes_work_together_and_the_worker_reports(cluster, folder):
    with contextlib.closing(Client(cluster.masters[1].grpc, pem=lambda: pem_of(folder))) as client:
        client.submit(Spec("told", TASK["spider"], TASK["parameters"]), CALL)
        eventually(lambda: client.get("told", CALL).state.finished, what="a report arrives")


def test_commands_come_in_with_the_authority_and_a_certificate(cluster, folder):
    done = crawler_here("nodes", "--processes", *options(cluster, folder))
    assert (done.returncode, done.stderr) == (0, "")
    done = crawler_here("nodes", f"--master={cluster.masters[0].grpc}")
    assert done.returncode == 1
    assert "--tls-ca" in done.stderr
    done = crawler_here("nodes", *options(cluster, folder)[:2])
    assert "--tls-cert" in done.stderr
    done = crawler_here("nodes", "--tls-ca=nowhere.pem")
    assert done.returncode == 2
    assert "--tls-ca: " in done.stderr
    assert "nowhere.pem: cannot be read" in done.stderr


def test_gunicorn_answers_a_client_without_tls_with_a_word_of_it(behind_gunicorn):
    at, process = behind_gunicorn
    with contextlib.closing(http.client.HTTPConnection(at, timeout=20)) as plain:
        plain.request("GET", "/healthz")
        answer = plain.getresponse()
        assert answer.status == 400
        assert "https://" in json.loads(answer.read())["message"]
    assert "Traceback" not in process.tail(1000)
