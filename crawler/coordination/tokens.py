"""The tokens of the cluster, as etcd stores them, and the secret by which nodes know each other.

Every node mirrors them, so a token counts, and ends, on all nodes as soon as the watch tells. Only
the leader writes tokens, with a fence. Whichever node is the first makes the secret.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any

from crawler.clock import Clock
from crawler.coordination.decisions import write_decision
from crawler.coordination.fields import dump, labels, load_object, typed, whole
from crawler.coordination.keys import Keys
from crawler.coordination.mirror import Mirror
from crawler.coordination.store import Get, KeyValue, Put, Store, unchanged
from crawler.errors import Conflict, NotFound
from crawler.model.access import Role, Token
from crawler.model.records import Leadership

LAST_NS = 2**63 - 1


class Tokens:
    """The mirror of the tokens, and the way to change them."""

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self.mirror: Mirror[Token] = Mirror(store, keys.tokens, partial(decode_token, keys), clock)

    @property
    def are_known(self) -> bool:
        """Whether the tokens have been read."""
        return bool(self.mirror.listed.is_set())

    def __len__(self) -> int:
        return len(self.mirror.values)

    def all(self) -> Mapping[str, Token]:
        """Return the tokens by id."""
        return {token.id: token for token in self.mirror.values.values()}

    def get(self, id: str) -> Token | None:
        """Return the token with that id; None if there is none."""
        return self.mirror.values.get(self._keys.token(id))

    def add(self, leadership: Leadership, token: Token) -> None:
        """Store a new token. Raises Conflict, LeadershipLost, Retryable, StoreRefused."""
        self._write(leadership, token.id, encode_token(token), 0)

    def revoke(self, leadership: Leadership, id: str) -> None:
        """End a token. Raises NotFound, and as `add` does."""
        found = self._store.txn([], [Get(self._keys.token(id))]).gets[0]
        if found is None:
            raise NotFound(f"no token {id!r}; `crawler token list` shows those that there are")
        self._write(leadership, id, None, found.mod_revision)

    def _write(self, leadership: Leadership, id: str, value: bytes | None, based_on: int) -> None:
        key = self._keys.token(id)
        written = write_decision(self._store, leadership, key, value, based_on)
        revision = written.current.mod_revision if written.current else written.revision
        self.mirror.apply(key, written.current, revision)
        if not written.done:
            raise Conflict(f"token {id} was changed at the same moment; try again")


def node_secret(store: Store, keys: Keys) -> str:
    """Return the secret of the cluster's nodes. The first node makes it. Raises Retryable."""
    key = keys.node_secret
    made = Put(key, secrets.token_urlsafe(32).encode())
    result = store.txn([unchanged(key, 0)], [made], [Get(key)])
    if result.succeeded:
        return made.value.decode()
    found = result.gets[0]
    assert found is not None  # it was there
    return found.value.decode()


def encode_token(token: Token) -> bytes:
    """Encode a token."""
    return dump(
        {
            "ID": token.id,
            "Name": token.name,
            "Role": token.role.value,
            "Hash": base64.b64encode(token.hashed).decode(),
            "Salt": base64.b64encode(token.salt).decode(),
            "CreationTime": token.created_ns,
            "ExpirationTime": token.expires_ns,
            "Labels": dict(token.labels),
        }
    )


def decode_token(keys: Keys, kv: KeyValue) -> Token | None:
    """Decode a token for a mirror; None for other keys below the prefix. Raises ValueError."""
    id = kv.key.removeprefix(keys.tokens)
    if "/" in id or not id:
        return None
    value = load_object(kv.value)
    if value.get("ID", id) != id:
        raise ValueError(f"ID is {value['ID']!r:.80}, but the key says {id!r}")
    return Token(
        id,
        typed(value, "Name", str, ""),
        Role(value.get("Role")),
        _bytes(value, "Hash"),
        _bytes(value, "Salt"),
        whole(value, "CreationTime", 0, LAST_NS),
        whole(value, "ExpirationTime", 0, LAST_NS),
        labels(typed(value, "Labels", dict, {})),
    )


def _bytes(value: Mapping[str, Any], key: str) -> bytes:
    text = typed(value, key, str, "")
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error:
        found = b""
    if not found:
        raise ValueError(f"{key} is {text!r:.80}; bytes in base64 are allowed")
    return found
