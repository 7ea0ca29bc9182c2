"""Certificates for tests: an authority, and what it signed, as files."""

import trustme
from cryptography.hazmat.primitives import serialization

from crawler.local.etcd import Certificates


def files(folder, name):
    """Where the files of that name lie."""
    return Certificates(folder / f"{name}-ca.pem", folder / f"{name}.pem", folder / f"{name}.key")


def issue(folder, name):
    """An authority of its own, and a certificate of it for servers and clients at 127.0.0.1."""
    authority = trustme.CA()
    issued, made = authority.issue_cert("127.0.0.1"), files(folder, name)
    authority.cert_pem.write_to_path(made.ca)
    issued.cert_chain_pems[0].write_to_path(made.cert)
    issued.private_key_pem.write_to_path(made.key)
    return made


def lock(key, locked):
    """The same private key behind a password."""
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    written = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    locked.write_bytes(written)
