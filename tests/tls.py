"""Certificates for tests of the nodes' own TLS: an authority, and what it signs, in a folder."""

import os
from datetime import UTC, datetime, timedelta

import trustme

from crawler.settings.sections import TlsSettings
from crawler.settings.tls_files import Pem


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

    def renew(self, host="127.0.0.1", authority=None, days=1):
        """Replace certificate and key, each at once; what was written."""
        until = datetime.now(UTC) + timedelta(days=days)
        made = (authority or self.authority).issue_cert(
            host, not_before=until - timedelta(days=2), not_after=until
        )
        written = made.cert_chain_pems[0].bytes(), made.private_key_pem.bytes()
        for name, content in zip(("node.pem", "node.key"), written):
            (self.path / f"{name}.new").write_bytes(content)
            os.replace(self.path / f"{name}.new", self.path / name)
        return written
