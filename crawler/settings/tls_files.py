"""The files that TLS needs, looked at before anybody connects with them.

Libraries report bad files only as a connection that is never made.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from crawler.errors import ConfigError

NODES = "tls"
"""The section of the nodes' own certificates, which gRPC must be able to use. What Redis and etcd
take is for them to say."""

LEAST_RSA = 2048
"""The least number of bits of a key for RSA."""


class Files(Protocol):
    """A section of the settings that names files: of the authority, of an own certificate, and of
    its private key. Each may be empty."""

    @property
    def ca(self) -> str: ...

    @property
    def cert(self) -> str: ...

    @property
    def key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Pem:
    """What TLS needs, each in PEM. Without `cert` and `key`, no certificate is shown."""

    ca: bytes
    cert: bytes = b""
    key: bytes = field(default=b"", repr=False)


def read(section: str, files: Files, folder: str) -> Pem:
    """Return what the files hold. Raises ConfigError as `check` does."""
    check(section, files, folder)
    return Pem(*(_content(folder, file) for file in (files.ca, files.cert, files.key)))


def check(section: str, files: Files, folder: str) -> None:
    """Look at the files. Relative paths start at the folder.

    Raises ConfigError that names the setting, the file, and what to do.
    """
    for name in ("ca", "cert", "key"):
        _check_readable(f"{section}.{name}", folder, getattr(files, name))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if files.ca:
        path = Path(folder, files.ca)
        try:
            context.load_verify_locations(path)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(
                f"{section}.ca: {path}: contains no certificate (PEM): {error}"
            ) from error
    if files.cert:
        cert = Path(folder, files.cert)
        _check_pair(section, context, cert, Path(folder, files.key))
        if section == NODES:
            _check_kind(cert)


def _content(folder: str, file: str) -> bytes:
    return Path(folder, file).read_bytes() if file else b""


def _check_readable(name: str, folder: str, file: str) -> None:
    if not file:
        return
    path = Path(folder, file)
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{name}: {path}: cannot be read: {error.strerror}; give the path of a PEM file"
        ) from error


def _check_pair(section: str, context: ssl.SSLContext, cert: Path, key: Path) -> None:
    if b"-----BEGIN CERTIFICATE-----" not in cert.read_bytes():
        raise ConfigError(f"{section}.cert: {cert}: contains no certificate; give a PEM file")
    try:
        # Without the callback an encrypted key would ask for its password on the terminal.
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"{section}.key: {key}: is no private key without a password (PEM) that belongs to "
            f"{section}.cert ({cert}): {error}"
        ) from error


def _check_kind(cert: Path) -> None:
    """Refuse a kind of key that gRPC cannot use: no handshake would come about."""
    from cryptography import x509  # few commands need it
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = x509.load_pem_x509_certificate(cert.read_bytes()).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{NODES}.cert: {cert}: cannot be used: {error}") from error
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1()):
            return
        case rsa.RSAPublicKey(key_size=bits) if bits >= LEAST_RSA:
            return
        case ec.EllipticCurvePublicKey(curve=curve):
            kind = f"on the curve {curve.name}"
        case rsa.RSAPublicKey(key_size=bits):
            kind = f"for RSA of {bits} bits"
        case _:
            kind = f"of another kind ({type(key).__name__})"
    raise ConfigError(
        f"{NODES}.cert: {cert}: its key is {kind}, which gRPC cannot use; allowed are the curves "
        f"P-256 and P-384, and RSA of at least {LEAST_RSA} bits"
    )
