"""TLS of a node's own servers: what is read, when it is read anew, and what is told."""

import contextlib
import dataclasses
import http.client
import json
import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from flask import Flask

from crawler.api.backend import Call
from crawler.api.http import server as server_module
from crawler.api.http import tls as http_tls
from crawler.api.http.server import HttpServer
from crawler.api.rpc import tls
from crawler.api.rpc.client import Client
from crawler.api.rpc.peers import Peers
from crawler.api.tls import AGAIN_S, Certificates
from crawler.clock import ManualClock, SystemClock
from crawler.errors import ConfigError, Unavailable
from crawler.metrics import Metrics
from crawler.model.records import Query
from crawler.settings import config, tls_files
from crawler.settings.sections import Settings
from crawler.settings.tls_trial import Trial
from crawler.supervision import Supervisor
from tests.tls import Folder
from tests.unit.api.fakes import FakeBackend, Master, running
from tests.waiting import PATIENCE_S, eventually

CALL = Call(20.0)
DAY_S = 86_400


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def certificates(folder, clock=None, **changes):
    settings = dataclasses.replace(folder.settings, **changes)
    return Certificates.of(Settings(tls=settings, folder=str(folder.path)), clock or SystemClock())


def looked(known):
    """Let it look as often as it needs for files that have settled."""
    known.look()
    known.look()


@pytest.fixture
def serve(folder):
    """Starts a master with TLS; its certificates and its address."""
    with contextlib.ExitStack() as stack:

        def start(**changes):
            known = certificates(folder, **changes) if changes.pop("tls", True) else None
            master = Master(FakeBackend(), certificates=known)
            stack.enter_context(running(master))
            return known, master.address

        yield start


def warnings(caplog):
    """The fields of the warnings so far."""
    return [each.fields for each in caplog.records if each.levelname == "WARNING"]


def asked(address, pem):
    """What a call with these files comes to: nothing, or why it failed."""
    client = Client(address, pem=lambda: pem)
    try:
        client.list(Query(1), CALL)
    except Unavailable as error:
        return str(error)
    finally:
        client.close()
    return ""


def served(address, context):
    """The certificate that a server shows to a new connection."""
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), 5) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        return ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True)).encode()


@pytest.fixture
def trusting(folder):
    made = ssl.create_default_context(cafile=str(folder.path / "ca.pem"))
    made.set_alpn_protocols(["h2", "http/1.1"])
    return made


def test_calls_go_through_it_and_each_connection_gets_the_newest_certificate(
    serve, folder, trusting
):
    known, address = serve()
    first = folder.pem.cert
    assert asked(address, folder.ca) == ""
    assert served(address, trusting).strip() == first.strip()
    second, _ = folder.renew()
    looked(known)
    assert served(address, trusting).strip() == second.strip() != first.strip()
    assert asked(address, folder.ca) == ""


def test_a_client_goes_on_with_new_certificates_of_its_own(serve, folder):
    known, address = serve(client_certificates="grpc")
    client = Client(address, pem=lambda: known.pem)
    client.list(Query(1), CALL)
    for _ in range(3):
        folder.renew()
        looked(known)
        client.list(Query(1), CALL)
    client.close()


def test_a_certificate_for_another_host_is_refused_and_told(serve, folder):
    folder.renew("elsewhere.example")
    _, address = serve()
    told = asked(address, folder.ca)
    assert "does not name the host 127.0.0.1" in told
    assert "crawler certs create FOLDER --host 127.0.0.1" in told


def test_an_unknown_authority_is_refused_and_told(serve, tmp_path):
    _, address = serve()
    (tmp_path / "other").mkdir()
    told = asked(address, Folder(tmp_path / "other").ca)
    assert "not signed by the authority" in told
    assert "--tls-ca" in told


def test_an_expired_certificate_is_refused_and_told(serve, folder, monkeypatch):
    folder.renew(days=-1)
    monkeypatch.setattr(Trial, "end_s", lambda trial: 0.0)  # else it would not start
    _, address = serve()
    assert "has expired; renew it" in asked(address, folder.ca)


@pytest.mark.parametrize(
    ("days", "authority", "complaint"),
    [(-1, None, "certificate has expired"), (30, trustme.CA(), "issuer certificate")],
    ids=["expired", "of another authority"],
)
def test_what_others_would_refuse_starts_no_node_and_replaces_nothing(
    folder, caplog, days, authority, complaint
):
    known = certificates(folder)
    before = known.pem
    folder.renew(days=days, authority=authority)
    looked(known)
    assert known.pem is before
    [told] = warnings(caplog)
    assert complaint in told["error"]
    assert "tls.cert: node.pem" in told["error"]
    with pytest.raises(ConfigError, match=complaint):
        certificates(folder)


def test_one_that_only_serves_is_refused_where_others_want_one_of_clients(folder, caplog):
    lenient, strict = certificates(folder), certificates(folder, client_certificates="grpc")
    before = strict.pem
    key = ec.generate_private_key(ec.SECP256R1())
    folder.renew_with(key, ExtendedKeyUsageOID.SERVER_AUTH)
    looked(lenient)
    assert lenient.pem == folder.pem
    looked(strict)
    assert strict.pem is before
    assert "purpose" in warnings(caplog)[0]["error"]


def test_an_authority_need_not_be_a_root(serve, folder):
    folder.authority = trustme.CA().create_child_ca()
    folder.authority.cert_pem.write_to_path(folder.path / "ca.pem")
    folder.renew()
    _, address = serve(client_certificates="grpc")
    assert asked(address, folder.pem) == ""


KINDS = {
    "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), ""),
    "P-384": (lambda: ec.generate_private_key(ec.SECP384R1()), ""),
    "P-521": (lambda: ec.generate_private_key(ec.SECP521R1()), "curve secp521r1"),
    "brainpool": (lambda: ec.generate_private_key(ec.BrainpoolP256R1()), "curve brainpoolP256r1"),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, "of another kind"),
    "RSA 2048": (lambda: rsa.generate_private_key(65537, 2048), ""),
}


@pytest.mark.parametrize(("make", "complaint"), KINDS.values(), ids=KINDS)
def test_a_kind_of_key_that_grpc_cannot_use_replaces_nothing(folder, caplog, make, complaint):
    known = certificates(folder)
    before = known.pem
    folder.renew_with(make())
    looked(known)
    if not complaint:
        assert known.pem == folder.pem
        return
    assert known.pem is before
    [told] = warnings(caplog)
    assert complaint in told["error"]
    assert "P-256 and P-384, and RSA" in told["error"]
    with pytest.raises(ConfigError, match=complaint):
        certificates(folder)


@pytest.mark.parametrize("kind", [kind for kind, (_, complaint) in KINDS.items() if not complaint])
def test_each_kind_that_is_taken_serves_grpc(serve, folder, kind):
    folder.renew_with(KINDS[kind][0]())
    _, address = serve()
    assert asked(address, folder.ca) == ""


@pytest.mark.parametrize("who", ["grpc", "all"])
def test_a_client_certificate_is_wanted_only_where_it_is_set(serve, folder, who):
    _, address = serve()
    assert asked(address, folder.ca) == ""
    _, strict = serve(client_certificates=who)
    assert "wants a certificate" in asked(strict, folder.ca)
    assert asked(strict, folder.pem) == ""


def test_a_client_certificate_of_another_authority_is_refused(serve, folder, tmp_path):
    _, strict = serve(client_certificates="grpc")
    (tmp_path / "other").mkdir()
    foreign = Folder(tmp_path / "other").pem
    mixed = dataclasses.replace(foreign, ca=folder.ca.ca)
    assert "wants a certificate" in asked(strict, mixed)


def test_another_authority_may_be_added_while_it_runs(serve, folder, tmp_path):
    known, strict = serve(client_certificates="grpc")
    (tmp_path / "other").mkdir()
    other = Folder(tmp_path / "other")
    both = folder.ca.ca + other.ca.ca
    (folder.path / "ca.pem").write_bytes(both)
    looked(known)
    assert asked(strict, dataclasses.replace(other.pem, ca=both)) == ""
    assert asked(strict, folder.pem) == ""


def test_a_plain_client_at_a_port_with_tls_is_told_and_the_other_way_round(serve, folder):
    _, address = serve()
    assert "it may speak TLS; name its authority" in asked(address, None)
    _, plain = serve(tls=False)
    assert "it does not speak TLS" in asked(plain, folder.ca)


def test_peers_verify_the_name_too(serve, folder):
    _, address = serve()
    peers = Peers(forwards=False, pem=lambda: folder.ca)
    peers.backend(address).list(Query(1), CALL)
    elsewhere = address.replace("127.0.0.1", "localhost")
    with pytest.raises(Unavailable, match="does not name the host localhost"):
        peers.backend(elsewhere).list(Query(1), CALL)
    peers.close()


@pytest.fixture
def web(folder):
    """Starts an HTTP server with TLS; its certificates, and its address."""
    servers = []

    def start(**changes):
        known = certificates(folder, **changes)
        server = HttpServer("127.0.0.1", 0, Master().app, certificates=known)
        server.start()
        servers.append(server)
        return known, f"127.0.0.1:{server.port}"

    yield start
    for server in servers:
        server.stop(0.0)


def got(connection):
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def got_anew(address, context):
    with contextlib.closing(
        http.client.HTTPSConnection(address, context=context, timeout=PATIENCE_S)
    ) as to:
        return got(to)


def test_http_serves_the_newest_certificate_and_keeps_connections(web, folder, trusting):
    known, address = web()
    kept = http.client.HTTPSConnection(address, context=trusting, timeout=PATIENCE_S)
    assert got(kept) == 200
    second, _ = folder.renew()
    looked(known)
    assert served(address, trusting).strip() == second.strip()
    assert got(kept) == 200
    kept.close()


def test_http_wants_client_certificates_of_all_alone(web, folder, trusting):
    _, lenient = web(client_certificates="grpc")
    assert got_anew(lenient, trusting) == 200
    _, strict = web(client_certificates="all")
    with pytest.raises(OSError, match="certificate required"):
        got_anew(strict, trusting)
    trusting.load_cert_chain(folder.path / "node.pem", folder.path / "node.key")
    assert got_anew(strict, trusting) == 200


def test_http_without_tls_is_answered_with_a_word_of_it(web, capfd):
    _, address = web()
    plain = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    plain.request("GET", "/healthz")
    answer = plain.getresponse()
    assert answer.status == 400
    assert "https://" in json.loads(answer.read())["message"]
    plain.close()
    assert "Traceback" not in capfd.readouterr().err


def test_connections_count_before_their_handshake(web, folder, trusting, monkeypatch):
    monkeypatch.setattr(server_module, "MOST_OF_CLIENT", 2)
    monkeypatch.setattr(http_tls, "HANDSHAKE_S", 10 * PATIENCE_S)
    _, address = web()
    host, _, port = address.rpartition(":")
    silent = [socket.create_connection((host, int(port)), PATIENCE_S) for _ in range(2)]
    with socket.create_connection((host, int(port)), PATIENCE_S) as more:
        assert more.recv(100) == b"", "closed"
    silent.pop().close()
    eventually(lambda: is_served(address, trusting), what="a place is free")
    silent.pop().close()


def is_served(address, context):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return got_anew(address, context) == 200


def test_a_client_that_does_not_take_its_answers_leaves_no_traceback(
    folder, trusting, monkeypatch, capfd
):
    monkeypatch.setattr(server_module, "ANSWER_S", 0.3)
    metrics = Metrics()
    large = Flask("large")
    large.add_url_rule("/", view_func=lambda: b"x" * 20_000_000)
    server = HttpServer("127.0.0.1", 0, large, metrics, certificates(folder))
    server.start()

    def connections():
        return metrics.registry.get_sample_value(
            "crawler_queue_length", {"queue": "http connections"}
        )

    with (
        socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as plain,
        trusting.wrap_socket(plain, server_hostname="127.0.0.1") as slow,
    ):
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(5) == b"HTTP/"
        eventually(lambda: connections() == 0)
    server.stop(0.0)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "words", [b"", http_tls.HANDSHAKE + b"\3\1"], ids=["silent", "half a hello"]
)
def test_a_handshake_that_does_not_come_is_not_waited_for(web, monkeypatch, words):
    monkeypatch.setattr(http_tls, "HANDSHAKE_S", 0.3)
    _, address = web()
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as slow:
        slow.sendall(words)
        assert slow.recv(100) == b"", "closed"


def test_files_that_do_not_fit_yet_keep_the_former_ones_and_are_told(folder, caplog):
    known = certificates(folder)
    before = known.pem
    new_cert, new_key = folder.renew()
    (folder.path / "node.pem").write_bytes(new_cert[:100])
    looked(known)
    assert known.pem is before
    [told] = [record for record in caplog.records if "cannot be used" in record.getMessage()]
    assert told.levelname == "WARNING"
    assert "tls.key" in str(told.__dict__) or "tls.cert" in str(told.__dict__)
    looked(known)
    assert sum("cannot be used" in each.getMessage() for each in caplog.records) == 1
    (folder.path / "node.pem").write_bytes(new_cert)
    looked(known)
    assert (known.pem.cert, known.pem.key) == (new_cert, new_key)


def test_a_file_that_could_not_be_read_is_tried_again(folder, monkeypatch, caplog):
    clock = ManualClock(time.time_ns())
    known = certificates(folder, clock)
    readable = Path.read_bytes

    def locked(path):
        if path.name == "node.key":
            raise PermissionError(13, "Permission denied", str(path))
        return readable(path)

    monkeypatch.setattr(Path, "read_bytes", locked)
    new = folder.renew()
    for _ in range(5):
        looked(known)
        clock.advance(AGAIN_S)
    assert len([each for each in warnings(caplog) if "Permission denied" in each["error"]]) == 1
    monkeypatch.setattr(Path, "read_bytes", readable)
    looked(known)
    assert (known.pem.cert, known.pem.key) == new


def test_files_whose_mode_has_changed_are_read_anew(folder, monkeypatch):
    known = certificates(folder)
    before = known.pem
    folder.renew()
    with monkeypatch.context() as patch:
        patch.setattr(tls_files, "read", refusing)
        looked(known)
    assert known.pem is before
    (folder.path / "node.key").chmod(0o640)
    looked(known)
    assert known.pem == folder.pem


def refusing(*_):
    raise ConfigError("cannot be read")


def test_a_certificate_that_ends_soon_is_told_once_a_day(folder, caplog):
    folder.renew(days=15)
    clock = ManualClock(time.time_ns())
    known = certificates(folder, clock)
    looked(known)
    assert known.seconds_left() == pytest.approx(15 * DAY_S, abs=60)
    assert warnings(caplog) == []
    clock.advance(1.5 * DAY_S)
    looked(known)
    assert [each["days_left"] for each in warnings(caplog)] == [13.5]
    clock.advance(DAY_S)
    looked(known)
    assert [each["days_left"] for each in warnings(caplog)] == [13.5, 12.5]
    folder.renew(days=30)
    looked(known)
    clock.advance(DAY_S)
    looked(known)
    assert len(warnings(caplog)) == 2


@pytest.mark.parametrize("host", ["node-1.example", "10.0.0.7", "[fd00::7]"])
def test_a_certificate_that_does_not_name_its_node_is_told_once(folder, caplog, host):
    supervisor = Supervisor("tests")
    folder.renew(host.strip("[]"))
    certificates(folder).start(supervisor, f"{host}:9090")
    assert warnings(caplog) == []
    certificates(folder).start(supervisor, "10.0.0.8:9090")
    [told] = warnings(caplog)
    assert told["host"] == "10.0.0.8"
    supervisor.stop(PATIENCE_S)


def test_files_that_still_change_are_left_alone(folder, caplog):
    known = certificates(folder)
    before = known.pem
    folder.renew()
    known.look()
    folder.renew()
    known.look()
    assert known.pem is before
    known.look()
    assert known.pem == folder.pem


def test_a_file_that_is_gone_keeps_the_former_ones(folder):
    known = certificates(folder)
    before = known.pem
    (folder.path / "node.key").unlink()
    looked(known)
    assert known.pem is before


def test_without_a_certificate_there_is_no_tls():
    assert Certificates.of(Settings(), SystemClock()) is None


def test_an_authority_alone_starts_no_node_without_tls(folder):
    with pytest.raises(ConfigError, match=r"tls\.cert: nothing given, but tls\.ca is"):
        certificates(folder, cert="", key="")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"cert": "a", "key": "b"}, "tls.ca: nothing given, but tls.cert is"),
        ({"ca": "a", "cert": "b"}, "tls.key: nothing given, but tls.cert is; set CRAWLER_TLS_KEY"),
        ({"ca": "a", "key": "b"}, "tls.cert: nothing given, but tls.key is"),
        ({"client_certificates": "grpc"}, "tls.client_certificates: grpc given, but tls.cert"),
        ({"client_certificates": "some"}, "one of none, grpc, all is allowed"),
    ],
)
def test_settings_that_need_others_are_told(given, complaint):
    variables = {config.variable("tls", name): value for name, value in given.items()}
    with pytest.raises(ConfigError) as caught:
        config.load(None, variables)
    assert complaint in str(caught.value)


def test_a_message_that_is_not_about_tls_has_no_hint():
    assert tls.hint("failed to connect: Connection refused", "h:1", is_tls=True) == ""
