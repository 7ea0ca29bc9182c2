"""The text of a token, which only its holder has, and the hash of it, which the cluster keeps.

A secret is 256 bits by chance, so nobody finds it by trying, whatever the hash costs. The hash is
scrypt (RFC 7914), which costs some 10 ms and 4 MB. It runs in a native thread.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

import gevent

PREFIX = "crawler"
SECRET_BYTES = 32
SALT_BYTES = 16
COST, BLOCK, LANES = 2**12, 8, 1

_TEXT = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([0-9A-Za-z_-]{{43}})")


class Parts(NamedTuple):
    """What a token's text says."""

    id: str
    secret: str

    @property
    def text(self) -> str:
        """The token as its holder has it."""
        return f"{PREFIX}_{self.id}_{self.secret}"


def new_parts() -> Parts:
    """Return a new id and secret."""
    return Parts(secrets.token_hex(6), secrets.token_urlsafe(SECRET_BYTES))


def new_salt() -> bytes:
    """Return a new salt."""
    return secrets.token_bytes(SALT_BYTES)


def parts_of(text: str) -> Parts | None:
    """Return what a token's text says; None if it is no token's."""
    found = _TEXT.fullmatch(text)
    return Parts(*found.groups()) if found else None


def id_of(text: str) -> str:
    """Return the id of a token. Somebody may give the whole token instead."""
    parts = parts_of(text)
    return text if parts is None else parts.id


def hash_of(secret: str, salt: bytes) -> bytes:
    """Return the hash of a secret. It waits for a native thread, and the hub goes on."""
    found: bytes = gevent.get_hub().threadpool.apply(_scrypt, (secret.encode(), salt))
    return found


def is_secret(secret: str, hashed: bytes, salt: bytes) -> bool:
    """Return whether this is the secret that has the hash. How long it takes does not tell how
    much of it is right."""
    return hmac.compare_digest(hash_of(secret, salt), hashed)


def _scrypt(secret: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(secret, salt=salt, n=COST, r=BLOCK, p=LANES, dklen=32)
