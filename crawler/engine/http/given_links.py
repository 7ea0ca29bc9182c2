"""Reads what a spider gives as a link: a URL, a `Link`, a selector of a link or its attribute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import parsel
from parsel import SelectorList

from crawler.engine.http import selectors
from crawler.engine.http.link import Link
from crawler.engine.http.selectors import AskedLink


def href(link: str | parsel.Selector | Link) -> str:
    """The URL as it is written. Raises ValueError if it is no link."""
    if isinstance(link, str):
        return link
    if isinstance(link, SelectorList):
        raise ValueError("no link: a list of selectors; allowed: one of them, or follow_all")
    if not isinstance(link, (parsel.Selector, Link)):
        raise ValueError(f"no link: {link!r}; allowed: a URL, a selector of a link, or a Link")
    root: Any = link.root if isinstance(link, parsel.Selector) else link.url
    if isinstance(root, str):
        return root
    if not hasattr(root, "get"):
        raise ValueError(f"no link: a selector of {root!r}")
    written = root.get("href")
    if not isinstance(written, str):
        shown = f"<{root.tag}>" if hasattr(root, "tag") else repr(root)
        raise ValueError(f"no link: {shown} has no href")
    return written


def place(link: str | parsel.Selector | Link) -> Any:
    """The element, the attribute or the text that holds the link; None if it is not known."""
    return link.root if isinstance(link, parsel.Selector) else None


def policy(link: parsel.Selector | Link) -> str:
    """The referrer policy for which a link asks; empty if it asks for none."""
    if isinstance(link, Link):
        return link.referrer_policy
    return selectors.referrer_policy(link.root)


def present(
    links: Iterable[str | parsel.Selector | Link],
    placed: Callable[[str, Any], str] | None = None,
) -> Iterator[AskedLink]:
    """The links as they are written, or as `placed` makes them of that and of their `place`.

    Elements of a SelectorList without href are skipped.
    """
    for link in links:
        try:
            written = href(link)
        except ValueError:
            if not isinstance(links, SelectorList):
                raise
        else:
            url = written if placed is None else placed(written, place(link))
            yield url, "" if isinstance(link, str) else policy(link)
