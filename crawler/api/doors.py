"""Decides who a caller is, and whether it may come in: for HTTP and gRPC alike.

As long as the cluster has no token, a node answers callers of its own machine alone (protected
mode), so that nothing is open to a network by accident. With a token, everybody needs one.
docs/security.md says what this promises.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Protocol

from crawler.api import proofs
from crawler.api.addresses import plain
from crawler.clock import Clock
from crawler.coordination.token_secret import parts_of
from crawler.errors import CrawlerError, Forbidden, Overloaded, Unauthenticated, Unavailable, shown
from crawler.model.access import GIVEN, Caller, Need, Role, Token

SCHEME = "bearer "
MOST_SILENCE_S = 30.0
"""If a node has heard nothing of etcd for longer, a token lets its holder read alone: it may have
been revoked."""
MOST_SILENCE_OF_READERS_S = 86_400.0
"""After this time a token lets nobody in."""

WHO_NEEDS_NONE = Role.NODE
"""The role of callers that need no token: they may do everything. A master or a worker of another
program is among them."""

NO_TOKEN = (
    "protected mode: this cluster has no token yet, so its nodes answer callers of their own "
    "machine only, at its loopback address; {}. To let others in, run on a machine of the cluster: "
    "crawler token create --role admin --master 127.0.0.1:9091 (a master's gRPC port). Or list "
    "their networks in api.trusted, or set api.open: true, if everybody who reaches this port may "
    "do everything"
)
CAME_FROM = "you came from {}; on the machine itself ask at 127.0.0.1"
PASSED_ON = "{} says that a proxy passed this on; ask without the proxy, at 127.0.0.1"
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
NOT_READ = "this node has not read the tokens of its cluster yet"
SECRET_NOT_READ = (
    "this node has not read the secret of its cluster's nodes yet, and what was given may be that"
)
SILENT = (
    "this node has heard nothing of etcd for {:.0f} s, so it cannot know whether this token was "
    "revoked meanwhile; ask another node, or try again when etcd is back"
)
FROM_A_PAGE = (
    "a page of another site makes this request in a browser; without a token that is refused"
)
OTHER_HOST = (
    "Host {} is not allowed in protected mode; allowed are localhost, an IP address, and the name "
    "of this machine: a page may let any other name lead here"
)


@dataclass(frozen=True, slots=True)
class Approach:
    """What a call shows of its caller."""

    address: str
    """The address from which it came, without a port. One of IPv4 is written as such."""
    authorization: str = ""
    """`Bearer` and the token; empty if it has none."""
    passed_by: str = ""
    """The header by which a proxy says that it passed it on, so that the address is not the
    caller's; empty if there is none."""
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
    """What that is about, as far as it is known before the message is read: the name of a task or a
    node; or else the method and the path."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", plain(self.address))

    @property
    def is_passed_on(self) -> bool:
        """Whether a proxy passed it on."""
        return bool(self.passed_by)


Refused = Callable[[Approach, Caller | None, Need, CrawlerError], None]
"""Told of each refusal; the caller is None if nobody knows who it is."""


class KnownTokens(Protocol):
    """The tokens of the cluster."""

    @property
    def are_known(self) -> bool:
        """Whether they have been read."""
        ...

    @property
    def silence_s(self) -> float:
        """For how many seconds nobody can have told that a token was revoked."""
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
    silence_s = 0.0

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
        former_secret: Callable[[], str] = str,
    ) -> None:
        """A node shows `node_secret` (empty until it has been read) or `former_secret`. Callers
        from the `trusted` networks need no token; if `is_open`, nobody does. With `people` there
        is no protected mode: everybody needs a login or a token."""
        self._on_refused = on_refused
        self._tokens = tokens
        self._node_secret = node_secret
        self._former_secret = former_secret
        self._clock = clock
        self._trusted = [ip_network(each) for each in trusted]
        self._is_open = is_open
        self._people = people
        self._proven = proofs.Proven()
        self._failures = proofs.Failures(clock)
        self._checks = proofs.places()

    def admit(self, approach: Approach, need: Need) -> Caller | None:
        """Return who the caller is; None if the call needs nothing. Raises Unauthenticated,
        Forbidden, Overloaded and Unavailable."""
        if need is Need.NOTHING:
            return None
        caller = None
        try:
            caller = self._caller(approach, need)
            _check(caller, need)
        except (Unauthenticated, Forbidden, Overloaded) as error:
            self._on_refused(approach, caller, need, error)
            raise
        address, transport = approach.address, approach.transport
        return Caller(caller.name, caller.role, caller.labels, address, transport, caller.is_node)

    def admits(self, approach: Approach, need: Need) -> bool:
        """Return whether the caller may come in for that. Nobody is told of a refusal."""
        try:
            _check(self._caller(approach, need), need)
        except CrawlerError:
            return False
        return True

    def _caller(self, approach: Approach, need: Need) -> Caller:
        if approach.authorization:
            return self._holder(approach, need)
        if approach.is_from_a_page:
            raise Forbidden(FROM_A_PAGE)
        if self._is_open:
            return Caller("anybody", WHO_NEEDS_NONE)
        if self._is_trusted(approach):
            return Caller(f"trusted {approach.address}", WHO_NEEDS_NONE)
        if self._people is not None:
            raise Unauthenticated(NEEDS_LOGIN)
        if not self._tokens.are_known:
            raise Unavailable(NOT_READ)
        if len(self._tokens):
            raise Unauthenticated(NEEDS_TOKEN)
        if _is_local(approach):
            if approach.other_host:
                raise Forbidden(OTHER_HOST.format(shown(approach.other_host)))
            return Caller("loopback", WHO_NEEDS_NONE)
        raise Forbidden(NO_TOKEN.format(_why_strange(approach)))

    def _holder(self, approach: Approach, need: Need) -> Caller:
        """Return who holds the token of a call. What is right and costs nothing to check comes
        first: wrong tokens of others at the same address do not keep it out."""
        text = approach.authorization
        scheme, given = text[: len(SCHEME)], text[len(SCHEME) :].strip()
        if scheme.lower() != SCHEME:
            raise Unauthenticated("authorization: allowed is Bearer and a token")
        if self._is_node(given):
            return Caller("node", Role.NODE, is_node=True)
        parts = parts_of(given)
        token = self._token(parts.id, need) if parts else None
        if parts and token and self._proven.has(parts.secret, token):
            return _holder_of(token)
        self._failures.check(approach.address)
        try:
            if self._people is not None and _is_jwt(given):
                return self._person(given, approach.address)
            if parts and token and self._proves(parts.secret, token, approach.address):
                return _holder_of(token)
            raise self._unknown(given)
        except Unauthenticated:
            self._failures.note(approach.address)
            raise

    def _is_node(self, given: str) -> bool:
        """Return whether this is the secret of the cluster's nodes."""
        known = filter(None, (self._node_secret(), self._former_secret()))
        return any(
            hmac.compare_digest(given.encode(errors="replace"), secret.encode()) for secret in known
        )

    def _token(self, id: str, need: Need) -> Token | None:
        """Return the token with that id; None if there is none, or none any more. Raises
        Unavailable if this node cannot know that."""
        if not self._tokens.are_known:
            raise Unavailable(NOT_READ)
        silence_s = self._tokens.silence_s
        reads = need in (Need.READ, Need.METRICS, Need.DEBUG)
        if silence_s > (MOST_SILENCE_OF_READERS_S if reads else MOST_SILENCE_S):
            raise Unavailable(SILENT.format(silence_s))
        token = self._tokens.get(id)
        return None if token is None or token.has_expired(self._clock.time_ns()) else token

    def _proves(self, secret: str, token: Token, address: str) -> bool:
        return self._proven.proves(secret, token, self._checks, address)

    def _person(self, given: str, address: str) -> Caller:
        """Return who holds a login. That may have to wait for the keys of the provider."""
        assert self._people is not None
        give_back = self._checks.take(address)
        try:
            return self._people.caller(given)
        finally:
            give_back()

    def _unknown(self, given: str) -> CrawlerError:
        """Return how what nobody here knows is refused. As long as the secret of the nodes has not
        been read, it may be that."""
        if given and not parts_of(given) and not self._node_secret():
            return Unavailable(SECRET_NOT_READ)
        return Unauthenticated(WRONG_TOKEN)

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
    nobodys = secrets.token_urlsafe(32)
    return Doors(NoTokens(), lambda: nobodys, clock)


def _is_jwt(given: str) -> bool:
    """Return whether a token looks like a signed JWT. Our own have no dots."""
    return given.count(".") == 2


def _holder_of(token: Token) -> Caller:
    return Caller(f"token {token.id} ({token.name})", token.role, token.labels)


def _check(caller: Caller, need: Need) -> None:
    if not caller.role.may(need):
        raise Forbidden(
            f"{caller.name} has the role {caller.role.value}, which may not do this; allowed: "
            + (", ".join(role.value for role in GIVEN if role.may(need)) or "nodes alone")
        )
    if caller.labels and need is Need.DEBUG:
        raise Forbidden(
            f"{caller.name} is bounded to tasks with labels, and /debug shows names of tasks and "
            "hosts of everybody. Use a token without labels"
        )


def _why_strange(approach: Approach) -> str:
    """Return why a caller does not count as one of this machine: perhaps it is one all the same."""
    if approach.is_passed_on:
        return PASSED_ON.format(approach.passed_by[:60])
    return CAME_FROM.format(approach.address or "an unknown address")


def _is_local(approach: Approach) -> bool:
    """Return whether a caller is a process of this machine."""
    if approach.is_passed_on:
        return False
    try:
        address = ip_address(approach.address)
    except ValueError:
        return approach.address.startswith("unix:")
    return address.is_loopback
