"""Seals the values of secrets under the keys of the nodes: AES-256 in GCM, by `cryptography`.

The name of a secret is part of what the seal covers, so that nobody who can write to etcd gives one
secret the value of another. Each sealing has a nonce of its own, by chance.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence

from crawler.errors import InvalidArgument, Rejected
from crawler.model.secrets import KEY_BYTES

NONCE_BYTES = 12

HOW_TO = (
    "secrets.key: nothing given; make a key with `crawler secret key`, and give it to all masters"
    " and workers, as CRAWLER_SECRETS_KEY or as secrets.key: [file:/run/secrets/crawler-key]"
)
"""What to do without a key."""


class CannotUnseal(Rejected):
    """No key of this node opens a value: it is sealed under another, or somebody changed it."""

    code = "FAILED_PRECONDITION"


class NoKey(InvalidArgument):
    """This node has no key for secrets."""

    code = "FAILED_PRECONDITION"


def new_key() -> str:
    """Return a new key, as the settings have it."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def key_id(text: str) -> str:
    """Return by what people tell a key from others. It does not tell the key."""
    return hashlib.sha256(b"crawler key " + base64.b64decode(text)).hexdigest()[:8]


class Seals:
    """The keys of a node: the first seals, and each opens."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [base64.b64decode(key) for key in keys]
        self.key_id = key_id(keys[0]) if keys else ""
        """The id of the key that seals; empty if there is none."""

    def seal(self, name: str, value: str) -> bytes:
        """Seal the value of a secret. Raises NoKey."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # few nodes need it

        if not self._keys:
            raise NoKey(HOW_TO)
        nonce = os.urandom(NONCE_BYTES)
        sealed: bytes = AESGCM(self._keys[0]).encrypt(nonce, value.encode(), _bound_to(name))
        return nonce + sealed

    def unseal(self, name: str, sealed: bytes) -> str:
        """Return the value of a secret. Raises NoKey and CannotUnseal."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if not self._keys:
            raise NoKey(HOW_TO)
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for key in self._keys:
            try:
                value: bytes = AESGCM(key).decrypt(nonce, rest, _bound_to(name))
                return value.decode()
            except (InvalidTag, ValueError):  # another key, or too short for any
                continue
        raise CannotUnseal(
            f"secret {name!r} cannot be decrypted with the keys in secrets.key; give this node the"
            f" key under which it was set, or set it again: crawler secret set {name}"
        )


def _bound_to(name: str) -> bytes:
    return f"crawler/secret/{name}".encode()
