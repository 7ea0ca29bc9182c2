"""Writes the demo shop's pages as HTML, with links in the many forms of real sites.

The graph (`site.py`) decides where a link leads. This module writes it as an absolute path, a
relative one, one with a fragment, or one with its query in another order.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from html import escape
from urllib.parse import urlsplit

from crawler.demo.catalogue import Book, pick
from crawler.demo.site import Link, Page, by_role

_CSS = (
    "body{font:16px/1.5 Georgia,serif;margin:0;color:#222;background:#fbf9f4}"
    "header,main,footer{max-width:58rem;margin:auto;padding:.7rem 1.2rem}"
    "header{border-bottom:3px double #b9a77c}header b{font-size:1.3rem;margin-right:1.5rem}"
    "a{color:#7a3b12;text-decoration:none}a:hover{text-decoration:underline}"
    "nav a{margin-right:1rem}ol.trail{list-style:none;padding:0;font-size:.85rem}"
    "ol.trail li{display:inline}ol.trail li+li:before{content:'\\203a';padding:0 .5em}"
    ".books,.categories{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));"
    "gap:.8rem;list-style:none;padding:0}"
    ".books li,.categories li{background:#fff;border:1px solid #e4dcc8;border-radius:6px;"
    "padding:.7rem}small{display:block;color:#777}dt{float:left;clear:left;width:6rem;color:#777}"
    "footer{border-top:1px solid #e4dcc8;font-size:.85rem}.price{font-size:1.4rem;color:#2d6a2d}"
)


def render(page: Page) -> bytes:
    """The page in its own charset. A letter that this lacks becomes a character reference."""
    return _html(page).encode(page.charset.codec, "xmlcharrefreplace")


def _html(page: Page) -> str:
    meta = f'<meta charset="{page.charset.meta}">' if page.charset.meta else ""
    base = f'<base href="{page.base}">' if page.base else ""
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head>',
            f"{meta}<title>{escape(page.title)} - The Bookshop</title>{base}",
            f'<meta name="viewport" content="width=device-width"><style>{_CSS}</style></head>',
            '<body id="top">',
            *filter(None, _body(page)),
            "</body></html>\n",
        ]
    )


def _body(page: Page) -> Iterable[str]:
    groups = by_role(page)

    def part(role: str, write: Callable[[Page, Sequence[Link]], str]) -> str:
        return write(page, groups[role]) if role in groups else ""

    yield f"<header><b>The Bookshop</b>{part('department', _navigation)}</header><main>"
    yield part("trail", _trail)
    yield f"<h1>{escape(page.title)}</h1>"
    yield f'<p class="about">{escape(page.text)}</p>' if page.text else ""
    if page.book is not None:
        yield _details(page.book)
    yield part("category", _categories)
    yield part("page", _pager)
    yield part("book", _books)
    # A second pager below the books; its links have their query in another order.
    yield part("page", _pager_below)
    yield part("also", _also)
    yield f"</main><footer>{part('footer', _navigation)}</footer>"


def _navigation(page: Page, links: Sequence[Link]) -> str:
    return f"<nav>{''.join(_anchor(page, link) for link in links)}</nav>"


def _trail(page: Page, links: Sequence[Link]) -> str:
    return f'<ol class="trail">{_entries(page, links)}</ol>'


def _categories(page: Page, links: Sequence[Link]) -> str:
    return f'<ul class="categories">{_entries(page, links)}</ul>'


def _books(page: Page, links: Sequence[Link]) -> str:
    return f'<ul class="books">{_entries(page, links)}</ul>'


def _also(page: Page, links: Sequence[Link]) -> str:
    return f'<h2>Readers also bought</h2><ul class="also">{_entries(page, links)}</ul>'


def _pager(page: Page, links: Sequence[Link]) -> str:
    return f'<nav class="pages">{"".join(_anchor(page, link) for link in links)}</nav>'


def _pager_below(page: Page, links: Sequence[Link]) -> str:
    swapped = "".join(
        f'<a href="{escape(_swapped(link.target))}">{escape(link.text)}</a>' for link in links
    )
    return f'<nav class="pages">{swapped}</nav>'


def _entries(page: Page, links: Sequence[Link]) -> str:
    return "".join(f"<li>{_anchor(page, link)}{_note(link)}</li>\n" for link in links)


def _note(link: Link) -> str:
    return f"<small>{escape(link.note)}</small>" if link.note else ""


def _anchor(page: Page, link: Link) -> str:
    return f'<a href="{escape(href(page, link))}">{escape(link.text)}</a>'


def _details(book: Book) -> str:
    facts = {
        "Author": book.author,
        "ISBN": book.isbn,
        "Stock": f"{book.stock} copies" if book.stock else "sold out",
        "Department": book.department,
    }
    rows = "".join(
        f'<dt>{name}</dt><dd class="{name.lower()}">{escape(value)}</dd>\n'
        for name, value in facts.items()
    )
    text = "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in book.description)
    return (
        f'<article class="book" data-id="{book.id}"><p class="price">{book.price}</p>\n'
        f'<dl>{rows}</dl>\n<div class="description">{text}</div></article>'
    )


def href(page: Page, link: Link) -> str:
    """The link as a page writes it: one of several spellings of the same target."""
    if link.target.startswith("#") and page.base:
        return f"{page.address}{link.target}"  # alone it would lead to the base
    if not link.target.startswith("/"):
        return link.target
    if page.base and link.role == "book":
        return _relative(link.target, page.base)
    if page.base or link.role in ("department", "footer", "also"):
        return link.target
    spelling = pick(("plain", "relative", "fragment", "swapped"), page.address, link.target)
    if spelling == "relative":
        return _relative(link.target, page.address)
    if spelling == "fragment":
        return f"{link.target}#reviews"
    return _swapped(link.target) if spelling == "swapped" else link.target


def _swapped(target: str) -> str:
    path, mark, query = target.partition("?")
    return f"{path}{mark}{'&'.join(reversed(query.split('&')))}"


def _relative(target: str, start: str) -> str:
    """The target, relative to the folder of `start`."""
    parts = urlsplit(target)
    path = posixpath.relpath(parts.path, posixpath.dirname(urlsplit(start).path))
    slash = "/" if parts.path.endswith("/") else ""
    return f"{path}{slash}?{parts.query}" if parts.query else f"{path}{slash}"
