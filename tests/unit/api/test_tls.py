"""TLS of a node's own servers: what is read, when it is read anew, and what is told."""

import contextlib
import dataclasses
import http.client
import json
import socket
import ssl

import pytest
import trustme

from crawler.api.backend import Call
from crawler.api.http import tls as http_tls
from crawler.api.http.server import HttpServer
from crawler.api.rpc import tls
from crawler.api.rpc.client import Client
from crawler.api.rpc.peers import Peers
from crawler.api.tls import Certificates
from crawler.clock import SystemClock
from crawler.errors import ConfigError, Unavailable
from crawler.model.records import Query
from crawler.settings import config
from crawler.settings.sections import Settings
from tests.tls import Folder
from tests.unit.api.fakes import FakeBackend, Master, running
from tests.waiting import PATIENCE_S

CALL = Call(5.0)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def certificates(folder, **changes):
    settings = dataclasses.replace(folder.settings, **changes)
    return Certificates.of(Settings(tls=settings, folder=str(folder.path)), SystemClock())


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


def test_an_unknown_authority_is_refused_and_told(serve, folder):
    folder.renew(authority=trustme.CA())
    _, address = serve()
    told = asked(address, folder.ca)
    assert "not signed by the authority" in told
    assert "--tls-ca" in told


def test_an_expired_certificate_is_refused_and_told(serve, folder):
    folder.renew(days=-1)
    _, address = serve()
    assert "has expired; renew it" in asked(address, folder.ca)


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
    with contextlib.closing(http.client.HTTPSConnection(address, context=context, timeout=5)) as to:
        return got(to)


def test_http_serves_the_newest_certificate_and_keeps_connections(web, folder, trusting):
    known, address = web()
    kept = http.client.HTTPSConnection(address, context=trusting, timeout=5)
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
    plain = http.client.HTTPConnection(address, timeout=5)
    plain.request("GET", "/healthz")
    answer = plain.getresponse()
    assert answer.status == 400
    assert "https://" in json.loads(answer.read())["message"]
    plain.close()
    assert "Traceback" not in capfd.readouterr().err


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
