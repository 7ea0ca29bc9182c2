"""What a node knows of who may come in: the tokens of its cluster, and the secret of its nodes."""

from __future__ import annotations

from crawler.api.doors import Doors, People, Refused
from crawler.clock import Backoff, Clock
from crawler.coordination.keys import Keys
from crawler.coordination.store import Store
from crawler.coordination.tokens import Tokens, node_secret
from crawler.errors import ConfigError, Retryable
from crawler.logs import get_logger
from crawler.settings.oidc import OidcSettings
from crawler.settings.sections import ApiSettings
from crawler.supervision import OnEnd, Supervisor

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
        self._store = store
        self._keys = keys
        self._clock = clock
        self._refuses_others = not (is_local or settings.oidc_issuer)
        self._is_open = settings.open
        self._secret = ""
        self.tokens = Tokens(store, keys, clock)
        self.doors = Doors(
            self.tokens,
            self.secret,
            clock,
            trusted=settings.trusted,
            is_open=settings.open,
            people=people_of(settings, clock),
            on_refused=on_refused,
        )

    def start(self, supervisor: Supervisor) -> None:
        """Learn the tokens and the secret, and follow the tokens."""
        self.tokens.mirror.start(supervisor)
        supervisor.spawn("secret of nodes", self._learn, on_end=OnEnd.RESTART)
        supervisor.spawn("doors", self._tell)

    def secret(self) -> str:
        """Return the secret by which nodes know each other; empty until it has been read."""
        return self._secret

    def _learn(self) -> None:
        backoff = Backoff(most_s=5.0)
        while not self._secret:
            try:
                self._secret = node_secret(self._store, self._keys)
            except Retryable:
                self._clock.sleep(backoff.next_s())

    def _tell(self) -> None:
        """Tell who may come in, if that is more or less than one might think."""
        if self._is_open:
            return log.warning(OPEN)
        self.tokens.mirror.listed.wait()
        if self._refuses_others and not len(self.tokens):
            log.info(PROTECTED)


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
