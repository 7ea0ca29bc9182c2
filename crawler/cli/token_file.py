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
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
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
    """Return what is kept for the first of these masters that has something; empty if none has. If
    the file cannot be trusted, a line says so, and nothing is kept."""
    kept = all_kept()
    return next((kept[each] for each in map(usual, addresses) if each in kept), "")


def all_kept() -> Mapping[str, Kept]:
    """Return what is kept, by the address of the master. It is empty if the file cannot be trusted,
    and a line says so."""
    try:
        found = _read()
    except OSError as error:
        _warn(str(error))
        return {}
    entries = {address: _entry(value) for address, value in found.items()}
    return {address: entry for address, entry in entries.items() if entry}


def keep(addresses: Iterable[str], kept: Kept) -> None:
    """Keep a token or a login for these masters. Raises OSError."""
    new = dict.fromkeys(map(usual, addresses), _value(kept))
    _change(lambda found: {**found, **new})


def replace(before: Login, after: Login) -> None:
    """Keep a login in place of another one, for all masters that have that. Raises OSError."""
    old, new = _value(before), _value(after)
    _change(lambda found: {each: new if found[each] == old else found[each] for each in found})


def forget(addresses: Iterable[str], kept: Kept = "") -> int:
    """Drop what is kept for these masters, or only where it is this. Return how many entries were
    dropped. Raises OSError."""
    before = _read()
    gone = {each for each in map(usual, addresses) if each in before}
    gone = {each for each in gone if kept in ("", _entry(before[each]))}
    if gone:
        _change(lambda found: {each: found[each] for each in found if each not in gone})
    return len(gone)


def forget_id(id: str) -> None:
    """Drop the token of that id for all masters: it counts no more. Raises OSError."""
    gone = {address for address, value in _read().items() if id_of(_entry(value)) == id}
    if gone:
        _change(lambda found: {each: found[each] for each in found if each not in gone})


def id_of(kept: Kept) -> str:
    """Return the id of a token of a cluster; empty for others."""
    parts = kept.split("_") if isinstance(kept, str) else ()
    return parts[1] if len(parts) > 2 else ""


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """A context in which no other command of this user is. Many providers take a refresh token
    once."""
    with _locked(".lock"):
        yield


def usual(address: str) -> str:
    """Return an address as the file has it: one master has one entry."""
    host, colon, port = address.strip().rpartition(":")
    return f"{'127.0.0.1' if host == 'localhost' else host}{colon}{port}"


def _read() -> dict[str, Any]:
    """Return the file, with entries of other versions of this program too. Raises OSError if
    others may have written or read it, and if it has another form than ours."""
    place = path()
    try:
        with place.open() as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read()
    except FileNotFoundError:
        return {}
    except ValueError:  # it is no text
        mode, text = OWNERS, ""
    if mode & ~OWNERS:
        raise OSError(
            f"{place} is not used: its mode is {mode:o}, so others may read or write the tokens in "
            f"it; allowed is 600. If you trust what is in it: chmod 600 {place}; else remove it"
        )
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OSError(
            f"{place} is not used: it is no file of tokens; mend it, or remove it to drop all"
        )
    return found


@cache
def _warn(text: str) -> None:
    """Say once in this process what is wrong."""
    print(f"crawler: {text}", file=sys.stderr)


def _value(kept: Kept) -> Any:
    """Return what the file has for a token or a login."""
    return asdict(kept) if isinstance(kept, Login) else kept


def _entry(value: Any) -> Kept:
    """Return what an entry of the file says; empty if nothing of ours."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else ""
    try:
        return Login(**value)
    except TypeError:
        return ""


def _change(change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Replace the file at once, so that a kill leaves the old or the new one. Commands that change
    it at the same time wait for each other. What cannot be read stays as it is. Raises OSError."""
    place = path()
    with _locked(".changing"):
        changed = change(_read())
        new = place.with_suffix(".new")
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNERS), "w") as file:
            json.dump(changed, file, indent=1)
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
