"""An authority for the certificates of a small cluster, in a folder.

Keys are on the curve P-256, which every client of TLS knows. Files appear whole: a node that reads
them at any moment finds the former or the new ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from crawler.errors import ConfigError

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 397
"""So long a certificate may count for browsers; then somebody has to think of it once a year."""
SKEW = timedelta(hours=1)
"""Certificates count from so long ago, because clocks differ."""
CA = "ca"
"""The name of the authority's own files, without what follows the dot."""
OWNERS = 0o600
READERS = 0o644
LOCAL = ("localhost", "127.0.0.1", "::1")
"""Each certificate names them too, for commands and health checks on the same machine."""

_HOST = re.compile(
    r"(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*"
)
_NAME = re.compile(r"[a-z0-9_-][a-z0-9_.-]*")

Key: TypeAlias = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was made."""

    cert: Path
    key: Path
    hosts: Sequence[str]
    expires: datetime


class Authority:
    """Makes certificates in its folder."""

    def __init__(self, folder: Path, cert: x509.Certificate, key: Key, *, is_new: bool) -> None:
        self.is_new = is_new
        """Whether it was made just now."""
        self._folder = folder
        self._cert = cert
        self._key = key

    @classmethod
    def in_folder(cls, folder: Path) -> Authority:
        """Return the authority of a folder. Make it if there is none. Raises ConfigError."""
        cert, key = folder / f"{CA}.pem", folder / f"{CA}.key"
        if cert.exists() or key.exists():
            return cls(folder, *_loaded(cert, key), is_new=False)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made, made_key = _new_authority()
        _write(key, _private(made_key), OWNERS)
        _write(cert, _public(made), READERS)
        return cls(folder, made, made_key, is_new=True)

    @property
    def expires(self) -> datetime:
        """When it and all its certificates end."""
        return self._cert.not_valid_after_utc

    def issue(self, name: str, hosts: Sequence[str]) -> Issued:
        """Make a certificate for these hosts, in files of that name. Raises ConfigError."""
        names = list(dict.fromkeys((*map(str.lower, hosts), *LOCAL)))
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(key, name, [_general(host) for host in names])
        stem = _stem(name)
        cert_file, key_file = (self._folder / f"{stem}.{end}" for end in ("pem", "key"))
        _write(key_file, _private(key), OWNERS)
        _write(cert_file, _public(made), READERS)
        return Issued(cert_file, key_file, names, made.not_valid_after_utc)

    def _signed(self, key: Key, name: str, hosts: Sequence[x509.GeneralName]) -> x509.Certificate:
        now = datetime.now(UTC)
        until = min(now + timedelta(days=CERTIFICATE_DAYS), self.expires)
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return (
            _builder(name, key, now, until, self._cert.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(own, critical=False)
            .add_extension(above, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _new_authority() -> tuple[x509.Certificate, Key]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    until = now + timedelta(days=AUTHORITY_DAYS)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    made = (
        _builder("crawler authority", key, now, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(own, critical=False)
        .sign(key, hashes.SHA256())
    )
    return made, key


def _builder(
    name: str, key: Key, now: datetime, until: datetime, issuer: x509.Name | None = None
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(until)
    )


def _usage(**wanted: bool) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{each: wanted.get(each, False) for each in every})


def check(names: Mapping[str, Sequence[str]]) -> None:
    """Check the names of files, and the hosts of each. Raises ConfigError."""
    taken: dict[str, str] = {}
    for name, hosts in names.items():
        for host in hosts:
            _general(host.lower())
        stem = _stem(name)
        if stem == CA or not _NAME.fullmatch(stem):
            raise ConfigError(
                f"--name: {name!r} given; letters, digits, dots, hyphens and underscores are "
                "allowed, but not ca, whose files are those of the authority"
            )
        if stem in taken:
            raise ConfigError(
                f"--host: {taken[stem]!r} and {name!r} given, whose files have one name, "
                f"{stem}.pem; leave one out, or give one certificate to both with --name"
            )
        taken[stem] = name


def _stem(name: str) -> str:
    """Return the name of the files: an IPv6 address or a wildcard would be a bad one."""
    return name.lower().replace(":", "-").replace("*", "all")


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        if len(host) > 253 or not _HOST.fullmatch(host):
            raise ConfigError(
                f"--host: {host!r} given; a host name or an IP address is allowed, without a port"
            ) from None
        return x509.DNSName(host)


def _loaded(cert: Path, key: Path) -> tuple[x509.Certificate, Key]:
    try:
        loaded = x509.load_pem_x509_certificate(cert.read_bytes())
        loaded_key = serialization.load_pem_private_key(key.read_bytes(), None)
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: cannot be read: {error.strerror}; an authority is both {cert} and "
            f"{key}; bring both back, or give another folder"
        ) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{cert} and {key}: are no authority (PEM) without a password: {error}"
        ) from error
    if not isinstance(loaded_key, Key) or loaded_key.public_key() != loaded.public_key():
        raise ConfigError(f"{key}: does not belong to {cert}, or is no key on an elliptic curve")
    if not _is_authority(loaded):
        raise ConfigError(
            f"{cert}: is no certificate of an authority; bring the authority's own files back, or "
            "give another folder"
        )
    if loaded.not_valid_after_utc <= datetime.now(UTC):
        raise ConfigError(f"{cert}: has expired; make a new authority in another folder")
    return loaded, loaded_key


def _is_authority(cert: x509.Certificate) -> bool:
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):  # none, or what nobody can read
        return False


def _public(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.PEM)


def _private(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file at once, so that nobody reads a part of it."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    os.replace(new, path)
