"""The secrets of tasks, as etcd stores them: sealed, and with who set them when.

Only the leader writes them, with a fence. Nobody mirrors them: a worker reads those that a task
names when it starts a run.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crawler.coordination.decisions import write_decision
from crawler.coordination.fields import dump, load_object, typed, whole
from crawler.coordination.keys import Keys
from crawler.coordination.sealing import Seals
from crawler.coordination.store import MAX_OPERATIONS, Get, KeyValue, Store
from crawler.errors import Conflict, CrawlerError, NotFound, Rejected
from crawler.logs import get_logger
from crawler.model.records import Leadership
from crawler.model.secrets import Opened, Secret, SecretWish

LAST_NS = 2**63 - 1

log = get_logger(__name__)


class Secrets:
    """The secrets in etcd, as a node with these keys sees them."""

    def __init__(self, store: Store, keys: Keys, seals: Seals) -> None:
        self._store = store
        self._keys = keys
        self._seals = seals

    def all(self) -> Sequence[Secret]:
        """Return what may be told of each secret, by name. Raises Retryable."""
        found = [_shown(self._keys, kv) for kv in self._store.range(self._keys.secrets).items]
        return sorted((each for each in found if each is not None), key=lambda each: each.name)

    def put(self, leadership: Leadership, wish: SecretWish, now_ns: int, by: str) -> Secret:
        """Store a secret, or another value of it. Raises NoKey, Conflict, LeadershipLost,
        Retryable, StoreRefused."""
        secret = Secret(wish.name, now_ns, by, self._seals.key_id)
        before = self._get(wish.name)
        former = self._former(wish, before)
        sealed = [self._seals.seal(wish.name, text) for text in (wish.value, former) if text]
        self._write(leadership, wish.name, _encode(secret, *sealed), before)
        return secret

    def _former(self, wish: SecretWish, before: KeyValue | None) -> str:
        """The value that a secret had before. A value that is only sealed anew keeps the one that
        it had. Empty if there is none, or nobody can open it."""
        try:
            opened = self._opened(wish.name, before)
        except Rejected:
            return ""
        return opened.former if opened.value == wish.value else opened.value

    def remove(self, leadership: Leadership, name: str) -> Secret:
        """Remove a secret, and return it. Raises NotFound, and as `put` does."""
        before = self._get(name)
        if before is None:
            raise NotFound(f"no secret {name!r}; `crawler secret list` shows those that there are")
        self._write(leadership, name, None, before)
        return _shown(self._keys, before) or Secret(name)

    def opened(self, names: Iterable[str]) -> Mapping[str, Opened]:
        """Return the values of these secrets. Raises NotFound, NoKey and CannotUnseal, which name
        the secret, and Retryable."""
        found = self._get_all(sorted(names))
        return {name: self._opened(name, kv) for name, kv in found.items()}

    def _opened(self, name: str, kv: KeyValue | None) -> Opened:
        if kv is None:
            raise NotFound(f"no secret {name!r} is there; set it: crawler secret set {name}")
        try:
            fields, sealed = _decode(kv)
            former = _sealed(fields, "Former")
        except ValueError as error:
            raise Rejected(
                f"secret {name!r} cannot be read: {error}; set it again: crawler secret set {name}"
            ) from None
        try:
            value = self._seals.unseal(name, sealed)
            return Opened(value, self._seals.unseal(name, former) if former else "")
        except CrawlerError as error:
            told = str(error)
            raise type(error)(told if name in told else f"secret {name!r}: {told}") from None

    def _get(self, name: str) -> KeyValue | None:
        return self._get_all([name])[name]

    def _get_all(self, names: Sequence[str]) -> Mapping[str, KeyValue | None]:
        """Return these secrets by name; None for those that are not there. One transaction reads
        as many as it may."""
        found: dict[str, KeyValue | None] = {}
        for at in range(0, len(names), MAX_OPERATIONS):
            part = names[at : at + MAX_OPERATIONS]
            gets = self._store.txn([], [Get(self._keys.secret(name)) for name in part]).gets
            found |= zip(part, gets, strict=True)
        return found

    def _write(
        self, leadership: Leadership, name: str, value: bytes | None, before: KeyValue | None
    ) -> None:
        based_on = before.mod_revision if before else 0
        key = self._keys.secret(name)
        if not write_decision(self._store, leadership, key, value, based_on).done:
            raise Conflict(f"secret {name} was changed at the same moment; try again")


def _encode(secret: Secret, sealed: bytes, former: bytes = b"") -> bytes:
    return dump(
        {
            "Name": secret.name,
            "Sealed": base64.b64encode(sealed).decode(),
            "Former": base64.b64encode(former).decode(),
            "Key": secret.key_id,
            "SetTime": secret.set_ns,
            "SetBy": secret.set_by,
        }
    )


def _shown(keys: Keys, kv: KeyValue) -> Secret | None:
    """What may be told of a secret; None for what is none."""
    name = kv.key.removeprefix(keys.secrets)
    try:
        value, _ = _decode(kv)
        return Secret(
            name,
            whole(value, "SetTime", 0, LAST_NS),
            typed(value, "SetBy", str, ""),
            typed(value, "Key", str, ""),
        )
    except ValueError as error:
        log.warning("a secret in etcd cannot be read", key=kv.key, error=str(error))
        return None


def _decode(kv: KeyValue) -> tuple[Mapping[str, Any], bytes]:
    """Return the fields of a secret, and its sealed value. Raises ValueError."""
    value = load_object(kv.value)
    return value, _sealed(value, "Sealed")


def _sealed(fields: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(typed(fields, name, str, ""), validate=True)
    except binascii.Error:
        raise ValueError(f"{name} is no base64") from None
