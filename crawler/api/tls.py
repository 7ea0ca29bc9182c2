"""The certificates of a node, for its own servers and its calls to other nodes.

They are read anew when their files change. Files that cannot be used change nothing: the node goes
on with the former ones, and says why.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from crawler.clock import Clock
from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.settings import tls_files
from crawler.settings.sections import Settings, TlsSettings
from crawler.settings.tls_files import Pem
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

LOOK_S = 0.5
"""How often a node looks whether the files have changed. It reads files that have not changed for
so long, because a certificate and its key are written one after the other."""

Stamps = Sequence[tuple[int, int, int] | None]
"""What shows that a file is another than before; None for a file that is not there."""


class Certificates:
    """The authority, the certificate and the key of a node, as they are now."""

    def __init__(self, settings: TlsSettings, folder: str, clock: Clock) -> None:
        """Read the files. Relative paths start at the folder. Raises ConfigError."""
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._used = self._seen = self._stamps()
        self.pem: Pem
        """What the files hold. Threads of gRPC read it too."""
        self.context: ssl.SSLContext
        """The context of the HTTP server."""
        self.pem, self.context = self._read()

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Certificates | None:
        """Return those of the settings; None without TLS. Raises ConfigError."""
        tls = settings.tls
        if tls.cert:
            return cls(tls, settings.folder, clock)
        if tls.ca:
            raise ConfigError(
                "tls.cert: nothing given, but tls.ca is: this node would serve without TLS; set "
                "CRAWLER_TLS_CERT and CRAWLER_TLS_KEY too, or leave out tls.ca"
            )
        return None

    @property
    def of_grpc_clients(self) -> bool:
        """Whether who comes over gRPC must show a certificate."""
        return self._settings.client_certificates != "none"

    def start(self, supervisor: Supervisor) -> None:
        """Follow the files."""
        supervisor.spawn("certificates", self._follow, on_end=OnEnd.RESTART)

    def look(self) -> None:
        """Read the files anew if they have changed, and were the same at the last look."""
        now = self._stamps()
        is_settled, self._seen = now == self._seen, now
        if now == self._used or not is_settled:
            return
        try:
            found = self._read()
        except ConfigError as error:
            self._used = now
            log.warning("new certificates cannot be used; the former ones stay", error=str(error))
            return
        if self._stamps() == now:  # else they changed meanwhile, and may not belong together
            self._used = now
            self.pem, self.context = found
            log.info("certificates are read anew", cert=self._settings.cert)

    def _follow(self) -> None:
        while True:
            self._clock.sleep(LOOK_S)
            self.look()

    def _read(self) -> tuple[Pem, ssl.SSLContext]:
        pem = tls_files.read("tls", self._settings, self._folder)
        try:
            return pem, self._context(pem)
        except (OSError, ValueError) as error:  # they changed after the check
            raise ConfigError(f"tls.cert: {self._settings.cert}: {error}") from error

    def _context(self, pem: Pem) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _, cert, key = self._paths()
        made.load_cert_chain(cert, key)
        made.set_alpn_protocols(["http/1.1"])
        if self._settings.client_certificates == "all":
            made.load_verify_locations(cadata=pem.ca.decode())
            made.verify_mode = ssl.CERT_REQUIRED
        return made

    def _paths(self) -> Sequence[Path]:
        files = (self._settings.ca, self._settings.cert, self._settings.key)
        return [Path(self._folder, file) for file in files]

    def _stamps(self) -> Stamps:
        return [_stamp(path) for path in self._paths()]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
