"""TLS over gRPC: the credentials of servers and clients, and what is wrong if they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import grpc

from crawler.supervision import run_aside

if TYPE_CHECKING:
    from crawler.api.tls import Certificates
    from crawler.settings.tls_files import Pem

KEPT = 2
"""How many channels to an address there are when certificates have changed."""

_NO_FIT = (
    (
        "certificate has expired",
        "its certificate has expired; renew it (crawler certs create FOLDER --host HOST), its node "
        "reads it anew without a restart",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not signed by the authority that is known here; give the authority of "
        "that cluster: tls.ca of a node, --tls-ca or CRAWLER_TLS_CA of a command",
    ),
    (
        "Hostname Verification",
        "its certificate does not name the host {host}; reach it under a host that it names, or "
        "make one for {host}: crawler certs create FOLDER --host {host}",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "it does not speak TLS; set tls.cert at that node, or give a command no --tls-ca and no "
        "CRAWLER_TLS_CA",
    ),
    (
        "Socket closed",
        "it closes the connection: it wants a certificate that its authority signed; give one: "
        "tls.cert of a node, --tls-cert and --tls-key of a command",
    ),
)
"""What gRPC's messages mean to a client that speaks TLS. The first match counts."""

_PLAIN = (
    (
        "Socket closed",
        "it closes the connection: it may speak TLS; name its authority: tls.ca, tls.cert and "
        "tls.key of a node, --tls-ca or CRAWLER_TLS_CA of a command",
    ),
)
"""The same to a client that does not."""


def server_credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Return credentials with which each new connection gets the newest certificate."""
    given = certificates.pem

    def newest() -> grpc.ServerCertificateConfiguration | None:
        """Return it if it has changed. gRPC calls this in threads of its own, where nothing of
        gevent may be used."""
        nonlocal given
        now = certificates.pem
        if now is given:
            return None
        given = now
        return _configuration(now)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(given), newest, certificates.of_grpc_clients
    )


def no_tls() -> Pem | None:
    """Return nothing: a client connects without TLS."""
    return None


class Channels:
    """The channel to an address, and a new one when the certificates have changed.

    The one before stays until the next change, for the calls that it carries.
    """

    def __init__(
        self, address: str, pem: Callable[[], Pem | None], options: Sequence[tuple[str, int]]
    ) -> None:
        """`pem` returns what TLS needs, as it is now."""
        self._address = address
        self._pem = pem
        self._options = options
        self._made: list[tuple[Pem | None, grpc.Channel]] = []

    def newest(self) -> grpc.Channel:
        """Return the channel. The first call makes it."""
        pem = self._pem()
        if not self._made or self._made[-1][0] != pem:
            self._made.append((pem, _channel(self._address, pem, self._options)))
            self._close(self._made[:-KEPT])
            del self._made[:-KEPT]
        return self._made[-1][1]

    def close(self) -> None:
        """Close them. Calls in flight end with an error."""
        self._close(self._made)

    def _close(self, made: Sequence[tuple[Pem | None, grpc.Channel]]) -> None:
        for _, channel in made:
            run_aside(f"close {self._address}", channel.close)


def _channel(address: str, pem: Pem | None, options: Sequence[tuple[str, int]]) -> grpc.Channel:
    """Return a channel, without TLS if nothing is given."""
    if pem is None:
        return grpc.insecure_channel(address, options=options)
    credentials = grpc.ssl_channel_credentials(pem.ca, pem.key or None, pem.cert or None)
    return grpc.secure_channel(address, credentials, options=options)


def hint(message: str, address: str, *, is_tls: bool) -> str:
    """Return what gRPC's message about a connection means, and what to do; empty if it is not
    about TLS."""
    host = address.rpartition(":")[0].strip("[]")
    for text, meaning in _NO_FIT if is_tls else _PLAIN:
        if text in message:
            return meaning.format(host=host)
    return ""


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.cert)], pem.ca)
