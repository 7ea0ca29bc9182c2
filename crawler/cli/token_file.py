"""The tokens that the command line keeps for a user: one for each master, in a file of mode 600.

A login is kept in the same file: a token of a provider, with what gets the next one.

Another cluster may be at the same address later. So `crawler up` drops its own token at its end,
and a command that is refused with a kept token goes on without one (master.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    return Path(os.path.expanduser(folder), "crawler", "tokens.json")


def kept_for(addresses: Iterable[str]) -> Kept:
    """Return what is kept for the first of these masters that has something; empty if none has."""
    kept = _read()
    return next((kept[each] for each in map(_usual, addresses) if each in kept), "")


def keep(addresses: Iterable[str], kept: Kept) -> None:
    """Keep a token or a login for these masters. Raises OSError."""
    new = dict.fromkeys(map(_usual, addresses), kept)
    _change(lambda found: {**found, **new})


def forget(addresses: Iterable[str], kept: Kept = "") -> int:
    """Drop what is kept for these masters, or only where it is this. Return how many entries were
    dropped. Raises OSError."""
    before = _read()
    gone = {each for each in map(_usual, addresses) if each in before}
    gone = {each for each in gone if kept in ("", before[each])}
    if gone:
        _change(lambda found: {each: found[each] for each in found if each not in gone})
    return len(gone)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """A context in which no other command of this user is. Many providers take a refresh token
    once."""
    with _locked(".lock"):
        yield


def _usual(address: str) -> str:
    """Return an address as the file has it: one master has one entry."""
    host, colon, port = address.strip().rpartition(":")
    return f"{'127.0.0.1' if host == 'localhost' else host}{colon}{port}"


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


def _change(change: Callable[[Mapping[str, Kept]], Mapping[str, Kept]]) -> None:
    """Replace the file at once, so that a kill leaves the old or the new one. Commands that change
    it at the same time wait for each other."""
    place = path()
    with _locked(".changing"):
        new = place.with_suffix(".new")
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNERS), "w") as file:
            json.dump(change(_read()), file, indent=1, default=asdict)
        os.replace(new, place)


@contextlib.contextmanager
def _locked(suffix: str) -> Iterator[None]:
    """A context that one process at a time is in. It makes the folder."""
    place = path()
    if not place.is_absolute():  # it would become a folder of the working folder
        raise OSError(f"there is no folder {place.parent}; set HOME or XDG_CONFIG_HOME")
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(place.with_suffix(suffix), os.O_WRONLY | os.O_CREAT, OWNERS), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
