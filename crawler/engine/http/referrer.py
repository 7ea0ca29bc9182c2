"""The header Referer: how much of the URL of its page a request tells (W3C Referrer Policy).

All requests of a page share one `Referrer`, so that most of the work is done once for each page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from crawler.engine.http import urls
from crawler.engine.http.link import words
from crawler.settings.crawl import REFERRER_POLICIES, REFERRER_POLICY

MOST_CHARACTERS = 4096
"""Of a longer URL only the origin is told (W3C Referrer Policy, 8.4)."""
NOBODY = "no-referrer"
_PAGE, _ORIGIN, _NOTHING = 0, 1, 2
_TOLD: Mapping[str, tuple[int, int, int]] = dict(
    zip(
        REFERRER_POLICIES,
        (
            (_NOTHING, _NOTHING, _NOTHING),
            (_PAGE, _PAGE, _NOTHING),
            (_PAGE, _NOTHING, _NOTHING),
            (_ORIGIN, _ORIGIN, _ORIGIN),
            (_ORIGIN, _ORIGIN, _NOTHING),
            (_PAGE, _ORIGIN, _ORIGIN),
            (_PAGE, _ORIGIN, _NOTHING),
            (_PAGE, _PAGE, _PAGE),
        ),
        strict=True,
    )
)
"""Policy → what is told to the page's own origin, to others, and from https to http."""
_OLD_WORDS = {
    "never": NOBODY,
    "default": REFERRER_POLICY,
    "always": "unsafe-url",
    "origin-when-crossorigin": "origin-when-cross-origin",
}
"""The words that a <meta> may use too, of the time before the standard."""


class Referrer:
    """What requests of the page `url` tell about it. `url` is in normal form, without fragment."""

    __slots__ = ("_down", "_far", "_is_secure", "_near", "origin", "policy", "url")

    def __init__(self, url: str, policy: str) -> None:
        self.url = urls.shown(url)
        self.policy = policy
        self.origin = f"{self.url[: self.url.find('/', len('https://'))]}/"
        page = self.url if len(self.url) <= MOST_CHARACTERS else self.origin
        told = (page, self.origin, "")
        near, far, down = _TOLD[policy]
        self._near, self._far, self._down = told[near], told[far], told[down]
        self._is_secure = self.url.startswith("https:")

    def told_to(self, target: str) -> str:
        """The value of Referer for a request to `target`. Empty if it has none."""
        if target.startswith(self.origin):
            return self._near
        if self._is_secure and not target.startswith("https:"):
            return self._down
        return self._far

    def under(self, policy: str) -> Referrer:
        """The same page under another policy."""
        return self if policy == self.policy else Referrer(self.url, policy)

    def after(self, target: str, policy: str = "") -> Referrer:
        """What the next request tells when `target` redirects: never more than `target` knew.

        `policy` is that for which the redirect asks, if it asks for one.
        """
        told = self.told_to(target)
        return Referrer(told, policy or self.policy) if told else self.under(NOBODY)


def policy_of(headers: Sequence[str], metas: Iterable[str]) -> str:
    """The policy that a page asks for: the last known one of its <meta>s, or else of its headers.

    Empty if it asks for none. `headers` are its headers Referrer-Policy, each a list of tokens, and
    `metas` the content of its <meta name=referrer>, each a single token (W3C Referrer Policy, 4.2
    and 8.1; HTML standard, 4.2.5.1).
    """
    asked = ""
    for line in headers:
        for word in line.split(","):
            asked = _known(word) or asked
    for word in metas:
        asked = _known(_OLD_WORDS.get(word.strip().lower(), word)) or asked
    return asked


def policy_of_link(rel: str | None, attribute: str | None) -> str:
    """The policy that a link asks for in its `rel` or its `referrerpolicy` (HTML standard, 4.6.4).

    Empty if it asks for none.
    """
    if rel and "noreferrer" in words(rel):
        return NOBODY
    return _known(attribute) if attribute else ""


def _known(word: str) -> str:
    policy = word.strip().lower()
    return policy if policy in _TOLD else ""
