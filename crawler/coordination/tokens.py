"""The tokens of the cluster, as etcd stores them.

Every node mirrors them, so a token counts, and ends, on all nodes as soon as the watch tells. Only
the leader writes tokens, with a fence.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from crawler.clock import Clock
from crawler.coordination.decisions import write_mirrored
from crawler.coordination.fields import dump, labels, load_object, typed, whole
from crawler.coordination.keys import Keys
from crawler.coordination.mirror import Mirror
from crawler.coordination.store import Get, KeyValue, Store
from crawler.errors import NotFound
from crawler.logs import get_logger
from crawler.model.access import Role, Token
from crawler.model.records import Leadership

log = get_logger(__name__)

LAST_NS = 2**63 - 1
UNREADABLE = "(cannot be read)"
"""The name of what stands for a token that cannot be read."""


class Tokens:
    """The mirror of the tokens, and the way to change them."""

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self.mirror: Mirror[Token] = Mirror(store, keys.tokens, self._decoded, clock, relists=True)

    @property
    def are_known(self) -> bool:
        """Whether the tokens have been read."""
        return bool(self.mirror.listed.is_set())

    @property
    def silence_s(self) -> float:
        """For how many seconds etcd cannot have told of a change."""
        return self.mirror.silence_s

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

    def _decoded(self, kv: KeyValue) -> Token | None:
        """Decode a token. One that cannot be read is there all the same: it must not look as if
        the cluster had none, and everybody of a machine could come in."""
        try:
            return decode_token(self._keys, kv)
        except Exception as error:  # whatever is wrong with it
            id = kv.key.removeprefix(self._keys.tokens)
            log.warning("a token cannot be read; it lets nobody in", id=id, error=str(error))
            return stand_in(id)

    def _write(self, leadership: Leadership, id: str, value: bytes | None, based_on: int) -> None:
        key = self._keys.token(id)
        what = f"token {id}"
        write_mirrored(self._store, self.mirror, leadership, key, value, based_on, what)


def stand_in(id: str) -> Token:
    """Return what stands for a token that cannot be read: no secret has its hash, and it has
    expired."""
    return Token(id, UNREADABLE, Role.METRICS, b"", b"", expires_ns=1)


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
