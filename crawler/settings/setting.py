"""How one setting is declared: a field of a dataclass that says what schema and docs need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from crawler.settings.forms import Form


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    one_of: Sequence[str] = (),
    form: Form | None = None,
    keys: Form | None = None,
    pairs: Form | None = None,
    secret: bool = False,
) -> Any:
    """Return a dataclass field with what the schema and the documentation need.

    `form` is what a text must look like, or each text of a list or mapping. `keys` is the form of
    the keys of a mapping, and `pairs` that of each pair, written as `key: value`. A `secret` is
    never shown, not even in errors.
    """
    metadata = {
        "help": help,
        "unit": unit,
        "least": least,
        "most": most,
        "one_of": tuple(one_of),
        "form": form,
        "keys": keys,
        "pairs": pairs,
        "secret": secret,
    }
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)
