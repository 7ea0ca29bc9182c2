"""The files that TLS needs, looked at before anybody connects with them.

Libraries report bad files only as a connection that is never made.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from crawler.errors import ConfigError


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
        _check_pair(section, context, Path(folder, files.cert), Path(folder, files.key))


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
