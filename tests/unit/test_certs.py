"""What `crawler certs create` makes: an authority, and certificates that TLS takes."""

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from crawler.settings import tls_files
from crawler.settings.sections import TlsSettings
from tests.integration.lab import crawler_here


def create(folder, *hosts, **more):
    options = [f"--host={host}" for host in hosts]
    options += [f"--{name}={value}" for name, value in more.items()]
    return crawler_here("certs", "create", str(folder), *options)


@pytest.fixture
def folder(tmp_path):
    done = create(tmp_path / "tls", "node-1.example", "10.0.0.7", "fd00::7")
    assert done.returncode == 0, done.stderr
    return tmp_path / "tls"


def loaded(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def mode(path):
    return path.stat().st_mode & 0o777


def test_keys_are_for_their_owner_alone(folder):
    keys = sorted(path.name for path in folder.glob("*.key"))
    assert keys == ["10.0.0.7.key", "ca.key", "fd00--7.key", "node-1.example.key"]
    assert {mode(path) for path in folder.glob("*.key")} == {0o600}
    assert {mode(path) for path in folder.glob("*.pem")} == {0o644}
    assert mode(folder) == 0o700
    assert len(list(folder.iterdir())) == 8


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("node-1.example", x509.DNSName("node-1.example")),
        ("10.0.0.7", x509.IPAddress(ipaddress.ip_address("10.0.0.7"))),
        ("fd00--7", x509.IPAddress(ipaddress.ip_address("fd00::7"))),
    ],
)
def test_a_certificate_names_its_host_and_counts_for_servers_and_clients(folder, name, host):
    cert, authority = loaded(folder / f"{name}.pem"), loaded(folder / "ca.pem")
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert next(iter(names)) == host
    assert x509.DNSName("localhost") in names
    policy = PolicyBuilder().store(Store([authority]))
    assert policy.build_server_verifier(host).verify(cert, [])
    assert policy.build_client_verifier().verify(cert, [])
    files = TlsSettings(ca="ca.pem", cert=f"{name}.pem", key=f"{name}.key")
    tls_files.check("tls", files, str(folder))


def test_lifetimes_are_a_year_for_nodes_and_ten_for_the_authority(folder):
    now = datetime.now(UTC)
    cert, authority = loaded(folder / "10.0.0.7.pem"), loaded(folder / "ca.pem")
    assert timedelta(days=365) < cert.not_valid_after_utc - now < timedelta(days=398)
    assert timedelta(days=3600) < authority.not_valid_after_utc - now < timedelta(days=3660)
    assert cert.not_valid_before_utc < now


def test_again_it_adds_and_renews_by_the_same_authority(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = create(folder, "10.0.0.7", "node-2.example")
    assert "the authority that was there" in done.stdout
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {
        *("10.0.0.7.pem", "10.0.0.7.key", "node-2.example.pem", "node-2.example.key"),
    }
    serials = {loaded(path).serial_number for path in folder.glob("*.pem")}
    assert len(serials) == 5


def test_it_prints_the_next_step(folder):
    done = create(folder, "Node-3.example")
    assert f"ca: {folder / 'ca.pem'}" in done.stdout
    assert f"--tls-ca {folder / 'ca.pem'}" in done.stdout
    assert "PRIVATE" not in done.stdout


def test_one_certificate_may_name_several_hosts(folder):
    create(folder, "a.example", "*.b.example", name="both")
    names = loaded(folder / "both.pem").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName)[:2] == ["a.example", "*.b.example"]


@pytest.mark.parametrize(
    "host", ["a:80", "", "a b", "-a", "../x", "ä.example", "https://a", "a" * 64]
)
def test_a_host_that_is_none_is_refused_and_makes_nothing(tmp_path, host):
    done = create(tmp_path / "tls", "good.example", host)
    assert done.returncode == 2
    assert "--host" in done.stderr
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize("name", ["ca", "CA", "Ca", "../x", "a b"])
def test_a_name_that_is_no_file_is_refused(tmp_path, name):
    done = create(tmp_path / "tls", "good.example", name=name)
    assert done.returncode == 2
    assert "--name" in done.stderr
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: (folder / "ca.key").unlink(), "ca.key: cannot be read"),
        (lambda folder: (folder / "ca.pem").unlink(), "ca.pem: cannot be read"),
        (lambda folder: (folder / "ca.pem").write_text("x"), "are no authority (PEM)"),
        (lambda folder: (folder / "10.0.0.7.key").replace(folder / "ca.key"), "does not belong"),
    ],
)
def test_an_authority_that_is_not_whole_is_told_and_kept(folder, spoil, complaint):
    spoil(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = create(folder, "10.0.0.8")
    assert done.returncode == 2
    assert complaint in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_authority_of_a_mere_node_is_refused(folder):
    for end in ("pem", "key"):
        (folder / f"10.0.0.7.{end}").replace(folder / f"ca.{end}")
    done = create(folder, "10.0.0.8")
    assert done.returncode == 2
    assert "is no certificate of an authority" in done.stderr
    assert not (folder / "10.0.0.8.pem").exists()


@pytest.mark.parametrize("host", ["ca", "CA", "cA"])
def test_a_host_named_ca_is_refused_and_the_authority_stays(folder, host):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert create(folder, host).returncode == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("hosts", [("a.example", "A.example"), ("fd00::7", "fd00--7")])
def test_two_hosts_whose_files_would_have_one_name_are_refused(tmp_path, hosts):
    done = create(tmp_path / "tls", *hosts)
    assert done.returncode == 2
    assert all(repr(host) in done.stderr for host in hosts)
    assert not (tmp_path / "tls").exists()
