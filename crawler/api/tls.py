"""The certificates of a node, for its own servers and its calls to other nodes.

They are read anew when their files change. Files that cannot be used change nothing: the node goes
on with the former ones, and says why. So do files that others would refuse.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crawler.clock import Clock
from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.settings import tls_files
from crawler.settings.sections import Settings, TlsSettings
from crawler.settings.tls_files import Pem
from crawler.settings.tls_trial import Trial
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

LOOK_S = 0.5
"""How often a node looks whether the files have changed. It reads files that have not changed for
so long, because a certificate and its key are written one after the other."""

AGAIN_S = 60.0
"""How often it tries files that cannot be used and do not change. Time alone can mend some."""

SOON_S = 14 * 86_400.0
"""So long before its certificate ends a node begins to warn, once in `WARN_S`."""

WARN_S = 86_400.0

Stamps = Sequence[tuple[int, int, int, int] | None]
"""What shows that a file is another than before; None for a file that is not there."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What the files were when they were read."""

    pem: Pem
    context: ssl.SSLContext
    trial: Trial
    end_s: float
    """The Unix time at which the certificate ends."""


class Certificates:
    """The authority, the certificate and the key of a node, as they are now."""

    def __init__(self, settings: TlsSettings, folder: str, clock: Clock) -> None:
        """Read the files. Relative paths start at the folder. Raises ConfigError."""
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._used = self._seen = self._stamps()
        self._failed: Stamps = ()
        self._again_s = self._warn_s = 0.0
        self._told = ""
        """Why the files cannot be used, as the log has it; empty if they can."""
        self._now = self._read()

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
    def pem(self) -> Pem:
        """What the files hold. Threads of gRPC read it too."""
        return self._now.pem

    @property
    def context(self) -> ssl.SSLContext:
        """The context of the HTTP server."""
        return self._now.context

    def seconds_left(self) -> float:
        """How long the certificate still counts; below zero when it has ended."""
        return self._now.end_s - self._clock.time_ns() / 1e9

    @property
    def of_grpc_clients(self) -> bool:
        """Whether who comes over gRPC must show a certificate."""
        return self._settings.client_certificates != "none"

    def start(self, supervisor: Supervisor, address: str) -> None:
        """Follow the files. Warn if the certificate does not name the host of this address, at
        which others reach the node."""
        host = address.rpartition(":")[0].strip("[]")
        if not self._now.trial.names(host):
            log.warning(
                "the certificate does not name the host at which others reach this node; they will "
                "refuse it",
                host=host,
                cert=self._settings.cert,
            )
        supervisor.spawn("certificates", self._follow, on_end=OnEnd.RESTART)

    def look(self) -> None:
        """Read the files anew if they have changed, and were the same at the last look. Warn if the
        certificate ends soon."""
        now = self._stamps()
        is_settled, self._seen = now == self._seen, now
        if is_settled and self._is_due(now):
            self._take(now)
        self._warn_of_end()

    def _is_due(self, now: Stamps) -> bool:
        if now == self._failed:
            return self._clock.monotonic() >= self._again_s
        return now != self._used

    def _take(self, now: Stamps) -> None:
        try:
            found = self._read()
        except ConfigError as error:
            self._failed, self._again_s = now, self._clock.monotonic() + AGAIN_S
            self._tell(str(error))
            return
        if self._stamps() == now:  # else they changed meanwhile, and may not belong together
            self._used, self._failed, self._told = now, (), ""
            self._now = found
            log.info("certificates are read anew", cert=self._settings.cert)

    def _tell(self, why: str) -> None:
        if why != self._told:
            self._told = why
            log.warning("new certificates cannot be used; the former ones stay", error=why)

    def _warn_of_end(self) -> None:
        left_s, now_s = self.seconds_left(), self._clock.monotonic()
        if left_s < SOON_S and now_s >= self._warn_s:
            self._warn_s = now_s + WARN_S
            log.warning(
                "the certificate has ended" if left_s <= 0 else "the certificate ends soon",
                days_left=round(left_s / 86_400, 1),
                cert=self._settings.cert,
            )

    def _follow(self) -> None:
        while True:
            self._clock.sleep(LOOK_S)
            self.look()

    def _read(self) -> _Read:
        pem = tls_files.read("tls", self._settings, self._folder)
        at = f"tls.cert: {self._settings.cert}"
        try:
            context, trial = self._context(pem), Trial(*self._paths(), both=self.of_grpc_clients)
            return _Read(pem, context, trial, trial.end_s())
        except ssl.SSLCertVerificationError as error:
            raise ConfigError(
                f"{at}: other nodes would refuse it: {error.verify_message}; it must count now, "
                f"and an authority of tls.ca ({self._settings.ca}) must have signed it"
            ) from error
        except (OSError, ValueError) as error:  # they changed after the check
            raise ConfigError(f"{at}: {error}") from error

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


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    # The last one changes alone when who may read the file changes.
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns
