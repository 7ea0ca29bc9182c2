"""What other nodes would say of a certificate: a handshake with oneself, in memory.

It finds what a look at the files alone does not: dates, the chain to the authority, and what the
certificate may be used for.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

TURNS = 4
"""How often both sides get their turn. TLS 1.3 needs two of them, and TLS 1.2 three."""


class Trial:
    """A client and a server with the certificate of a node."""

    def __init__(self, ca: Path, cert: Path, key: Path, *, both: bool) -> None:
        """With `both`, the client shows the certificate too. Raises OSError, ValueError."""
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for side in (self._client, self._server):
            side.load_verify_locations(ca)
            side.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC does
        self._server.load_cert_chain(cert, key)
        if both:
            self._client.load_cert_chain(cert, key)
            self._server.verify_mode = ssl.CERT_REQUIRED

    def end_s(self) -> float:
        """Return the Unix time at which the certificate ends. Raises ssl.SSLError, with what is
        wrong, if others would refuse it."""
        return float(ssl.cert_time_to_seconds(self._shown(None)["notAfter"]))

    def names(self, host: str) -> bool:
        """Whether others that call this host take the certificate."""
        try:
            self._shown(host)
        except ssl.SSLError:
            return False
        return True

    def _shown(self, host: str | None) -> dict[str, Any]:
        """Let the client connect to that host, or to any; what the server has shown."""
        self._client.check_hostname = host is not None
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self._client.wrap_bio(down, up, server_hostname=host)
        server = self._server.wrap_bio(up, down, server_side=True)
        for _ in range(TURNS):
            for side in (client, server):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
        return dict(client.getpeercert() or {})
