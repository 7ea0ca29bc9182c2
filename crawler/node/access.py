"""What a node knows of who may come in: the tokens of its cluster, and the secret of its nodes."""

from __future__ import annotations

from crawler.api.doors import Doors, People
from crawler.clock import Backoff, Clock
from crawler.coordination.keys import Keys
from crawler.coordination.store import Store
from crawler.coordination.tokens import Tokens, node_secret
from crawler.errors import ConfigError, Retryable
from crawler.settings.oidc import OidcSettings
from crawler.settings.sections import ApiSettings
from crawler.supervision import OnEnd, Supervisor

MISSING = (
    "api.oidc_issuer: a login needs the library joserfc; install it: pip install "
    "'distributed-crawler[oidc]', or -r requirements-oidc.txt in a clone"
)


class Access:
    """The doors of a node, and what it shows at those of others."""

    def __init__(self, store: Store, keys: Keys, settings: ApiSettings, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._secret = ""
        self.tokens = Tokens(store, keys, clock)
        self.doors = Doors(
            self.tokens,
            self.secret,
            clock,
            trusted=settings.trusted,
            is_open=settings.open,
            people=people_of(settings, clock),
        )

    def start(self, supervisor: Supervisor) -> None:
        """Learn the tokens and the secret, and follow the tokens."""
        self.tokens.mirror.start(supervisor)
        supervisor.spawn("secret of nodes", self._learn, on_end=OnEnd.RESTART)

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
