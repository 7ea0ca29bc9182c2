"""Who may come in, and what each may do: roles, tokens, callers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Need(Enum):
    """What a call needs its caller to be allowed."""

    NOTHING = "nothing"
    """Health and readiness are for everybody."""
    READ = "read"
    """Tasks, nodes, statistics; no secret is among them."""
    TASKS = "tasks"
    """Add, change, pause, stop, delete tasks, and begin them anew."""
    CLUSTER = "cluster"
    """Nodes, the scheduler, tokens."""
    DEBUG = "debug"
    """Look into a node: what its greenlets do names tasks and hosts of everybody."""
    NODES = "nodes"
    """What masters and workers tell each other: reports, and calls that are passed on."""
    METRICS = "metrics"
    """Scrape the numbers of a node."""


class Role(Enum):
    """What a token is for."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    NODE = "node"
    METRICS = "metrics"

    def may(self, need: Need) -> bool:
        """Return whether this role fulfils a need."""
        return need is Need.NOTHING or need in _MAY[self]


_MAY: Mapping[Role, frozenset[Need]] = {
    Role.VIEWER: frozenset({Need.READ, Need.METRICS}),
    Role.OPERATOR: frozenset({Need.READ, Need.METRICS, Need.TASKS}),
    Role.ADMIN: frozenset({Need.READ, Need.METRICS, Need.TASKS, Need.CLUSTER, Need.DEBUG}),
    Role.NODE: frozenset(Need),
    Role.METRICS: frozenset({Need.METRICS}),
}

GIVEN = (Role.VIEWER, Role.OPERATOR, Role.ADMIN, Role.METRICS)
"""The roles of tokens that people make. Nodes have a secret of their own."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the cluster knows it: nobody can tell its secret from this."""

    id: str
    name: str
    role: Role
    hashed: bytes
    """The hash of its secret."""
    salt: bytes
    created_ns: int = 0
    expires_ns: int = 0
    """The wall time from which it counts no more; 0 if it never ends."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Its holder sees and changes only tasks that have all of these labels."""

    def has_expired(self, now_ns: int) -> bool:
        """Return whether it counts no more."""
        return bool(self.expires_ns) and now_ns >= self.expires_ns


@dataclass(frozen=True, slots=True)
class TokenWish:
    """A token that somebody asks for."""

    name: str
    role: Role
    labels: Mapping[str, str] = field(default_factory=dict)
    expires_ns: int = 0


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made, with the text that its holder gives."""

    token: Token
    text: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """Where people of a cluster sign in. Everybody may know it."""

    issuer: str
    """The URL of an OpenID provider; empty if nobody signs in."""
    client: str
    """The id under which the provider knows the cluster."""
    scopes: Sequence[str]
    """What is asked of the provider."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call."""

    name: str
    """For the log of what people did, for example `token 3f… (deploy)` or `loopback`."""
    role: Role
    labels: Mapping[str, str] = field(default_factory=dict)
    """It sees and changes only tasks that have all of these labels."""
    address: str = ""
    """From where it calls, without a port."""
    transport: str = ""
    """`http` or `grpc`."""
    is_node: bool = False
    """Whether it knows the secret of the cluster's nodes."""
    is_recorded: bool = False
    """Whether the node that passes its call on records what it does."""

    def owns(self, labels: Mapping[str, str]) -> bool:
        """Return whether a task with these labels is within the caller's bounds."""
        return has_labels(labels, self.labels)


def has_labels(labels: Mapping[str, str], bounds: Mapping[str, str]) -> bool:
    """Return whether a task with these labels is within bounds."""
    return bounds.items() <= labels.items()
