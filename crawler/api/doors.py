"""Decides who a caller is, and whether it may come in: for HTTP and gRPC alike.

As long as the cluster has no token, a node answers callers of its own machine alone (protected
mode), so that nothing is open to a network by accident. With a token, everybody needs one.
docs/security.md says what this promises.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Protocol

from crawler.clock import Clock
from crawler.coordination.token_secret import is_secret, parts_of
from crawler.errors import CrawlerError, Forbidden, Overloaded, Unauthenticated, Unavailable, shown
from crawler.model.access import Caller, Need, Role, Token

SCHEME = "bearer "
MOST_PROVEN = 10_000
"""How many secrets are remembered that were right. One that is forgotten is hashed again."""
FAILURES_A_MINUTE = 60
"""An address that gives so many wrong tokens a minute is asked to wait."""
MOST_ADDRESSES = 10_000
"""Of how many addresses wrong tokens are counted."""

WHO_NEEDS_NONE = Role.NODE
"""The role of callers that need no token: they may do everything. A master or a worker of another
program is among them."""

NO_TOKEN = (
    "protected mode: this cluster has no token yet, so its nodes answer callers of their own "
    "machine only. On a machine of the cluster run: crawler token create --role admin. Or set "
    "api.open: true, if everybody who reaches this port may do everything"
)
NEEDS_TOKEN = (
    "this cluster needs a token: give it with --token or CRAWLER_TOKEN, over HTTP as "
    "Authorization: Bearer TOKEN. An admin makes one: crawler token create --role ROLE"
)
NEEDS_LOGIN = (
    "this cluster needs a login or a token: run crawler login; or give a token with --token or "
    "CRAWLER_TOKEN, over HTTP as Authorization: Bearer TOKEN"
)
WRONG_TOKEN = (
    "this token is not valid here: it was revoked, it has expired, or it is of another cluster; "
    "an admin makes another: crawler token create --role ROLE"
)
FROM_A_PAGE = (
    "a page of another site makes this request in a browser; without a token that is refused"
)
OTHER_HOST = (
    "protected mode: Host: {} is not allowed; allowed are localhost, an IP address, and the name "
    "of this machine: a page may let any other name lead here"
)


@dataclass(frozen=True, slots=True)
class Approach:
    """What a call shows of its caller."""

    address: str
    """The address from which it came, without a port."""
    authorization: str = ""
    """`Bearer` and the token; empty if it has none."""
    is_passed_on: bool = False
    """Whether a proxy passed it on, so that the address is not the caller's."""
    is_from_a_page: bool = False
    """Whether a browser makes it for a page of another site. Whoever wrote that page is not who
    sits at the browser."""
    other_host: str = ""
    """The host that it names, if that may be another than this machine."""
    transport: str = ""
    """`http` or `grpc`."""
    action: str = ""
    """What it asks for, as a word of the audit; empty for what has none."""
    object: str = ""
    """What that is about, as far as it is known before the message is read."""


Refused = Callable[[Approach, Caller | None, Need, CrawlerError], None]
"""Told of each refusal; the caller is None if nobody knows who it is."""


class KnownTokens(Protocol):
    """The tokens of the cluster."""

    @property
    def are_known(self) -> bool:
        """Whether they have been read."""
        ...

    def get(self, id: str) -> Token | None:
        """Return the token with that id; None if there is none."""
        ...

    def __len__(self) -> int:
        """Return how many there are."""
        ...


class People(Protocol):
    """The people of whom another service says who they are."""

    def caller(self, token: str) -> Caller:
        """Return whose token it is. Raises Unauthenticated, Forbidden and Unavailable."""
        ...


class NoTokens:
    """The tokens of a cluster that has none."""

    are_known = True

    def get(self, id: str) -> Token | None:
        """Return None: there is none."""
        return None

    def __len__(self) -> int:
        return 0


class Doors:
    """The doors of one node."""

    def __init__(
        self,
        tokens: KnownTokens,
        node_secret: Callable[[], str],
        clock: Clock,
        trusted: Sequence[str] = (),
        is_open: bool = False,
        people: People | None = None,
        on_refused: Refused = lambda *told: None,
    ) -> None:
        """Callers from the `trusted` networks need no token; if `is_open`, nobody does. With
        `people` there is no protected mode: everybody needs a login or a token."""
        self._on_refused = on_refused
        self._tokens = tokens
        self._node_secret = node_secret
        self._clock = clock
        self._trusted = [ip_network(each) for each in trusted]
        self._is_open = is_open
        self._people = people
        self._proven = Proven()
        self._failures = Failures(clock)

    def admit(self, approach: Approach, need: Need) -> Caller | None:
        """Return who the caller is; None if the call needs nothing. Raises Unauthenticated,
        Forbidden, Overloaded and Unavailable."""
        if need is Need.NOTHING:
            return None
        caller = None
        try:
            caller = self._caller(approach)
            _check(caller, need)
        except (Unauthenticated, Forbidden, Overloaded) as error:
            self._on_refused(approach, caller, need, error)
            raise
        address, transport = approach.address, approach.transport
        return Caller(caller.name, caller.role, caller.labels, address, transport, caller.is_node)

    def admits(self, approach: Approach, need: Need) -> bool:
        """Return whether the caller may come in for that. Nobody is told of a refusal."""
        try:
            _check(self._caller(approach), need)
        except CrawlerError:
            return False
        return True

    def _caller(self, approach: Approach) -> Caller:
        if approach.authorization:
            return self._holder(approach)
        if approach.is_from_a_page:
            raise Forbidden(FROM_A_PAGE)
        if self._is_open:
            return Caller("anybody", WHO_NEEDS_NONE)
        if self._is_trusted(approach):
            return Caller(f"trusted {approach.address}", WHO_NEEDS_NONE)
        if self._people is not None:
            raise Unauthenticated(NEEDS_LOGIN)
        if not self._tokens.are_known:
            raise Unavailable("this node has not read the tokens of its cluster yet")
        if len(self._tokens):
            raise Unauthenticated(NEEDS_TOKEN)
        if _is_local(approach):
            if approach.other_host:
                raise Forbidden(OTHER_HOST.format(shown(approach.other_host)))
            return Caller("loopback", WHO_NEEDS_NONE)
        raise Forbidden(NO_TOKEN)

    def _holder(self, approach: Approach) -> Caller:
        """Return who holds the token of a call."""
        self._failures.check(approach.address)
        text = approach.authorization
        scheme, given = text[: len(SCHEME)], text[len(SCHEME) :].strip()
        if scheme.lower() != SCHEME:
            raise Unauthenticated("authorization: allowed is Bearer and a token")
        secret = self._node_secret()  # empty until it has been read
        if secret and hmac.compare_digest(given.encode(errors="replace"), secret.encode()):
            return Caller("node", Role.NODE, is_node=True)
        try:
            return self._named(given)
        except Unauthenticated:
            self._failures.note(approach.address)
            raise

    def _named(self, given: str) -> Caller:
        """Return who holds a token of the cluster or a login."""
        if self._people is not None and _is_jwt(given):
            return self._people.caller(given)
        token = self._token(given)
        if token is None:
            raise Unauthenticated(WRONG_TOKEN)
        return Caller(f"token {token.id} ({token.name})", token.role, token.labels)

    def _token(self, given: str) -> Token | None:
        """Return the token with that text; None if there is none, or none any more."""
        parts = parts_of(given)
        if parts is None:
            return None
        if not self._tokens.are_known:
            raise Unavailable("this node has not read the tokens of its cluster yet")
        token = self._tokens.get(parts.id)
        if token is None or token.has_expired(self._clock.time_ns()):
            return None
        return token if self._proven.proves(parts.secret, token) else None

    def _is_trusted(self, approach: Approach) -> bool:
        if approach.is_passed_on or not self._trusted:
            return False
        try:
            address = ip_address(approach.address)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


def protected(clock: Clock) -> Doors:
    """Return the doors of a node whose cluster has no token."""
    return Doors(NoTokens(), str, clock)


class Proven:
    """The secrets that were right: each is hashed by scrypt once, and not with each call."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        """A quick hash of the secret, and the hash of the token that it belongs to."""

    def proves(self, secret: str, token: Token) -> bool:
        """Return whether this is the secret of a token."""
        quick = sha256(secret.encode()).digest()
        if self._known.get(quick) == token.hashed:
            self._known.move_to_end(quick)
            return True
        if not is_secret(secret, token.hashed, token.salt):
            return False
        self._known[quick] = token.hashed
        if len(self._known) > MOST_PROVEN:
            self._known.popitem(last=False)
        return True


class Failures:
    """Counts the wrong tokens of each address, and lets those wait that give too many."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_s: OrderedDict[str, float] = OrderedDict()
        """The monotonic time at which an address may give all its wrong tokens again (GCRA)."""

    def check(self, address: str) -> None:
        """Raise Overloaded if the address has given too many wrong tokens."""
        ahead_s = self._full_s.get(address, 0.0) - self._clock.monotonic()
        if ahead_s > 60.0:
            raise Overloaded(
                f"{address} gave too many wrong tokens; try again in {ahead_s - 60.0:.0f} s"
            )

    def note(self, address: str) -> None:
        """Note a wrong token."""
        now_s = self._clock.monotonic()
        full_s = max(now_s, self._full_s.pop(address, now_s))
        self._full_s[address] = full_s + 60.0 / FAILURES_A_MINUTE
        if len(self._full_s) > MOST_ADDRESSES:
            self._full_s.popitem(last=False)


def _is_jwt(given: str) -> bool:
    """Return whether a token looks like a signed JWT. Our own have no dots."""
    return given.count(".") == 2


def _check(caller: Caller, need: Need) -> None:
    if not caller.role.may(need):
        raise Forbidden(
            f"{caller.name} has the role {caller.role.value}, which may not do this; allowed: "
            + ", ".join(role.value for role in Role if role.may(need))
        )


def _is_local(approach: Approach) -> bool:
    """Return whether a caller is a process of this machine."""
    if approach.is_passed_on:
        return False
    try:
        address = ip_address(approach.address)
    except ValueError:
        return approach.address.startswith("unix:")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
