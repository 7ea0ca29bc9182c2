"""Certificates for tests of the nodes' own TLS: an authority, and what it signs, in a folder."""

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from crawler.settings.sections import TlsSettings
from crawler.settings.tls_files import Pem

LOOPBACK = x509.IPAddress(ip_address("127.0.0.1"))


class Folder:
    """The files of a node: ca.pem, node.pem and node.key, of one authority."""

    def __init__(self, path, host="127.0.0.1"):
        self.path = path
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(path / "ca.pem")
        self.settings = TlsSettings(ca="ca.pem", cert="node.pem", key="node.key")
        self.renew(host)

    @property
    def pem(self):
        """What its node shows at present."""
        return Pem(
            *((self.path / name).read_bytes() for name in ("ca.pem", "node.pem", "node.key"))
        )

    @property
    def ca(self):
        """What a client without a certificate has."""
        return Pem((self.path / "ca.pem").read_bytes())

    def renew(self, host="127.0.0.1", authority=None, days=30):
        """Replace certificate and key, each at once; what was written."""
        now = datetime.now(UTC)
        begin, until = now - timedelta(days=2), now + timedelta(days=days)
        made = (authority or self.authority).issue_cert(host, not_before=begin, not_after=until)
        return self.put(made.cert_chain_pems[0].bytes(), made.private_key_pem.bytes())

    def renew_with(self, key, *usages):
        """The same with this private key, and for these usages, or for any."""
        ca = x509.load_pem_x509_certificate(self.authority.cert_pem.bytes())
        ca_key = load_pem_private_key(self.authority.private_key_pem.bytes(), None)
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(ca.subject, x509.Name([]), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([LOOPBACK]), critical=True)
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.put(builder.sign(ca_key, SHA256()).public_bytes(Encoding.PEM), private)

    def put(self, *written):
        """Replace certificate and key by these, each at once."""
        for name, content in zip(("node.pem", "node.key"), written):
            (self.path / f"{name}.new").write_bytes(content)
            os.replace(self.path / f"{name}.new", self.path / name)
        return written
