"""The tokens that the command line keeps for a user: one for each master, in a file of mode 600.

A login is kept in the same file: a token of a provider, with what gets the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

OWNERS = 0o600


@dataclass(frozen=True, slots=True)
class Login:
    """What a provider gave for a user."""

    token: str
    expires_s: float
    """The Unix time at which the token ends."""
    issuer: str
    client: str
    secret: str = ""
    """Of the client; empty if it has none."""
    refresh: str = ""
    """What gets the next token; empty if the provider gave none."""


Kept: TypeAlias = str | Login
"""A token of a cluster, or a login."""


def path() -> Path:
    """Return where the file is: `crawler/tokens.json` of the user's folder for settings."""
    folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder, "crawler", "tokens.json").expanduser()


def kept_for(addresses: Iterable[str]) -> Kept:
    """Return what is kept for the first of these masters that has something; empty if none has."""
    kept = _read()
    return next((kept[each] for each in addresses if each in kept), "")


def keep(addresses: Iterable[str], kept: Kept) -> None:
    """Keep a token or a login for these masters."""
    _write({**_read(), **dict.fromkeys(addresses, kept)})


def forget(addresses: Iterable[str]) -> None:
    """Drop what is kept for these masters."""
    gone = set(addresses)
    _write({address: kept for address, kept in _read().items() if address not in gone})


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """A context in which no other command of this user is. Many providers take a refresh token
    once."""
    place = path()
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(place.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT, OWNERS), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read() -> Mapping[str, Kept]:
    try:
        found = json.loads(path().read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    entries = {address: _entry(value) for address, value in found.items()}
    return {address: entry for address, entry in entries.items() if entry}


def _entry(value: Any) -> Kept:
    """Return what an entry of the file says; empty if nothing of ours."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else ""
    try:
        return Login(**value)
    except TypeError:
        return ""


def _write(tokens: Mapping[str, Kept]) -> None:
    """Replace the file at once, so that a kill leaves the old or the new one."""
    place = path()
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = place.with_name(f"{place.name}.{os.getpid()}")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNERS), "w") as file:
        json.dump(tokens, file, indent=1, default=asdict)
    os.replace(new, place)
