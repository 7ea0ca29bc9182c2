"""The tokens that the command line keeps for a user: one for each master, in a file of mode 600."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

OWNERS = 0o600


def path() -> Path:
    """Return where the file is: `crawler/tokens.json` of the user's folder for settings."""
    folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder, "crawler", "tokens.json").expanduser()


def token_of(addresses: Iterable[str]) -> str:
    """Return the token that is kept for the first of these masters that has one; empty if none
    has."""
    kept = _read()
    return next((kept[each] for each in addresses if each in kept), "")


def keep(addresses: Iterable[str], token: str) -> None:
    """Keep a token for these masters."""
    _write({**_read(), **dict.fromkeys(addresses, token)})


def forget(addresses: Iterable[str]) -> None:
    """Drop the tokens of these masters."""
    gone = set(addresses)
    _write({address: token for address, token in _read().items() if address not in gone})


def _read() -> Mapping[str, str]:
    try:
        found = json.loads(path().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(tokens: Mapping[str, str]) -> None:
    """Replace the file at once, so that a kill leaves the old or the new one."""
    place = path()
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = place.with_name(f"{place.name}.{os.getpid()}")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNERS), "w") as file:
        json.dump(tokens, file, indent=1)
    os.replace(new, place)
