"""What a node knows of who may come in: the tokens of its cluster, and the secret of its nodes."""

from __future__ import annotations

from crawler.api.doors import Doors, People, Refused
from crawler.clock import Clock
from crawler.coordination.keys import Keys
from crawler.coordination.node_secret import NodeSecret
from crawler.coordination.store import Store
from crawler.coordination.tokens import Tokens
from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.settings.oidc import OidcSettings
from crawler.settings.sections import ApiSettings
from crawler.supervision import Supervisor

log = get_logger(__name__)

MISSING = (
    "api.oidc_issuer: a login needs the library joserfc; install it: pip install "
    "'distributed-crawler[oidc]', or -r requirements-oidc.txt in a clone"
)
OPEN = (
    "api.open is true: everybody who reaches a port of this node may do everything, without a "
    "token; to close it, set api.open to false, and make a token: crawler token create --role admin"
)
PROTECTED = (
    "protected mode: the cluster has no token yet, so this node refuses callers of other machines "
    "(unless api.trusted names them); to let them in, make one: crawler token create --role admin"
)
LOCAL = (
    "protected mode: the cluster has no token yet, so whoever connects from this machine may do "
    "everything; before you put a proxy in front, make one: crawler token create --role admin"
)


class Access:
    """The doors of a node, and what it shows at those of others."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        settings: ApiSettings,
        clock: Clock,
        is_local: bool = False,
        on_refused: Refused = lambda *told: None,
    ) -> None:
        """`is_local` means that the node listens on loopback alone. `on_refused` is told of each
        refusal at the doors."""
        self._is_local = is_local
        self._is_protected = not settings.oidc_issuer
        self._is_open = settings.open
        self._secret = NodeSecret(store, keys, clock)
        self.tokens = Tokens(store, keys, clock)
        self.doors = Doors(
            self.tokens,
            self._secret.current,
            clock,
            trusted=settings.trusted,
            is_open=settings.open,
            people=people_of(settings, clock),
            on_refused=on_refused,
            former_secret=self._secret.former,
        )

    def start(self, supervisor: Supervisor) -> None:
        """Follow the tokens and the secret."""
        self.tokens.mirror.start(supervisor)
        self._secret.start(supervisor)
        supervisor.spawn("doors", self._tell)

    def secret(self) -> str:
        """Return the secret by which nodes know each other; empty until it has been read."""
        return self._secret.current()

    def former_secret(self) -> str:
        """Return the secret before, as long as it counts; else an empty text."""
        return self._secret.former()

    def _tell(self) -> None:
        """Tell who may come in, if that is more or less than one might think."""
        if self._is_open:
            return log.warning(OPEN)
        self.tokens.mirror.listed.wait()
        if self._is_protected and not len(self.tokens):
            log.info(LOCAL if self._is_local else PROTECTED)


def people_of(settings: OidcSettings, clock: Clock) -> People | None:
    """Return the people of the provider; None without one. Raises ConfigError if the library is
    not there."""
    if not settings.oidc_issuer:
        return None
    try:
        from crawler.api.oidc.people import OidcPeople
    except ImportError:
        raise ConfigError(MISSING) from None
    return OidcPeople(settings, clock)
