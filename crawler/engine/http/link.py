"""A link of a page. Names and order are Scrapy's."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, unsafe_hash=True)
class Link:
    """A link of a page: its absolute URL, its text, and whether it has `rel="nofollow"`.

    `referrer_policy` is what it asks for in `rel="noreferrer"` or `referrerpolicy`, or empty. As
    Scrapy has no such field, it does not count when links are compared.
    """

    url: str
    text: str = ""
    fragment: str = ""
    nofollow: bool = False
    referrer_policy: str = field(default="", compare=False)


def words(value: str | None) -> list[str]:
    """The keywords of an attribute such as `rel`, in lower case: case means nothing in them."""
    return value.replace(",", " ").lower().split() if value else []


def is_nofollow(rel: str | None) -> bool:
    """Whether a `rel` says `nofollow`."""
    return "nofollow" in words(rel)
