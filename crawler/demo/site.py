"""The pages of the demo shop and the links between them, before they are written as HTML.

This graph is the shop's own truth: `pages.py` renders it, and `Bookshop.reachable_books` walks it.
So one can compare the result of a crawl with an answer in which no crawler had a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from crawler.demo.catalogue import OUT_OF_PRINT, UTF_8, Book, Charset, Route, pick
from crawler.demo.words import DEPARTMENTS, Department

PER_PAGE = 20
"""The number of books on one page of a listing."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a page."""

    target: str
    """The path and query of its target, with the query sorted; or an address that is not HTTP."""
    text: str
    role: str
    """The part of the page in which it stands: `department`, `trail`, `category`, `book`, `page`,
    `also`, `footer`."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The answer of one address."""

    address: str
    title: str
    links: Sequence[Link] = ()
    status: int = 200
    location: str = ""
    """The target of a redirect, as its header names it. It may be relative."""
    book: Book | None = None
    text: str = ""
    base: str = ""
    """The <base href> of the page. Empty if there is none."""
    charset: Charset = UTF_8


_FOOTER = (
    Link("/staff/", "Staff", "footer"),
    Link("mailto:shop@bookshop.invalid", "Write to us", "footer"),
    Link("tel:+44-20-5550-0100", "Call us", "footer"),
    Link("ftp://bookshop.invalid/catalogue.zip", "Catalogue (FTP)", "footer"),
    Link("javascript:window.print()", "Print", "footer"),
    Link("#top", "To the top", "footer"),
)
_DEPARTMENT_LINKS = tuple(
    Link(f"/department/{department.name}/", department.title, "department")
    for department in DEPARTMENTS
)


def build(books: Sequence[Book]) -> dict[str, Page]:
    """All pages of the shop by their addresses."""
    pages = [_front(), *_staff(books)]
    public = [book for book in books if book.route is Route.LISTED]
    for department in DEPARTMENTS:
        own = [book for book in books if book.department == department.name]
        pages.append(_department(department))
        pages.extend(_shelves(department, own))
        pages.extend(_apart(department, own))
        pages.extend(_redirects(own))
        pages.extend(_book(department, book, public) for book in own)
    return {page.address: page for page in pages}


def canonical(address: str) -> str:
    """The address for a request's path and query: the same, with the query sorted."""
    parts = urlsplit(address)
    query = urlencode(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    return f"{parts.path}?{query}" if query else parts.path


def _front() -> Page:
    links = [
        Link(f"/department/{department.name}/", department.title, "category", department.blurb)
        for department in DEPARTMENTS
    ]
    text = "Five departments, one till. Everything on these pages is made up, prices included."
    return Page("/", "The Bookshop", _framed(links), text=text)


def _staff(books: Sequence[Book]) -> Iterator[Page]:
    picks = [_book_link(book) for book in books if book.route is Route.STAFF]
    rooms = [Link("/staff/picks/", "Staff picks", "category", "not on the shelves yet")]
    yield Page("/staff/", "Staff", _framed(rooms), text="For people who work here.")
    yield Page("/staff/picks/", "Staff picks", _framed(picks), text="To be shelved next month.")


def _department(department: Department) -> Page:
    root = f"/department/{department.name}/"
    links = [
        Link(
            f"{root}{name}/", _name(name), "category", f"{department.title}: {_name(name).lower()}"
        )
        for name in department.categories
    ]
    links.append(Link(f"{root}reserved/", "Reserved", "category", "put aside for customers"))
    if department.name == "science":
        links.append(Link(f"{root}reserved/open-access/", "Open access", "category", "free to all"))
    if department.name == "history":
        links.append(Link(f"{root}bestsellers/", "Bestsellers", "category", "this week"))
    return Page(root, department.title, _framed(links), text=department.blurb)


def _shelves(department: Department, books: Sequence[Book]) -> Iterator[Page]:
    for place, category in enumerate(department.categories):
        shelf = [book for book in books if category in book.categories and book.route.listed]
        links = [_book_link(book) for book in shelf]
        if place < OUT_OF_PRINT:
            gone = f"/book/out-of-print/{department.name}-{place + 1}/"
            links.append(Link(gone, f"Lost Title No. {place + 1}", "book", "out of print"))
        # One shelf of each department writes its links relative to a <base href>.
        yield from _listing(department, category, links, base="/book/" if place == 1 else "")


def _listing(
    department: Department, category: str, links: Sequence[Link], base: str
) -> Iterator[Page]:
    root = f"/department/{department.name}/{category}/"
    count = -(-len(links) // PER_PAGE)
    addresses = [root, *(f"{root}?page={page}&sort=title" for page in range(2, count + 1))]
    for place, address in enumerate(addresses):
        shown = links[place * PER_PAGE : (place + 1) * PER_PAGE]
        pager = [Link(target, str(page), "page") for page, target in enumerate(addresses, 1)]
        if place + 1 < count:
            pager.append(Link(addresses[place + 1], "Next", "page"))
        yield Page(
            address,
            _name(category),
            _framed([*shown, *pager], _trail(department)),
            text=f"{len(links)} books, page {place + 1} of {count}.",
            base=base,
        )


def _apart(department: Department, books: Sequence[Book]) -> Iterator[Page]:
    root = f"/department/{department.name}/"
    reserved = [_book_link(book) for book in books if book.route is Route.RESERVED]
    yield Page(f"{root}reserved/", "Reserved", _framed(reserved, _trail(department)))
    if department.name == "science":
        free = [_book_link(book) for book in books if book.route is Route.OPEN_ACCESS]
        address = f"{root}reserved/open-access/"
        yield Page(address, "Open access", _framed(free, _trail(department)))
    if department.name == "history":
        text = "The till does not answer. It never does."
        yield Page(f"{root}bestsellers/", "Out of order", _framed([]), status=500, text=text)


def _redirects(books: Sequence[Book]) -> Iterator[Page]:
    for book in books:
        old, title = f"/old/{book.id}.html", "Moved"
        if book.route in (Route.MOVED, Route.MOVED_COLLECTOR):
            yield Page(old, title, status=301, location=book.address)
        elif book.route is Route.MOVED_TWICE:
            yield Page(old, title, status=302, location=f"/moved/{book.id}/")
            yield Page(f"/moved/{book.id}/", title, status=301, location=f"../..{book.address}")


def _book(department: Department, book: Book, public: Sequence[Book]) -> Page:
    also = [pick(public, "also", book.id, place) for place in range(3)]
    links = [
        *(_category_link(department, category) for category in book.categories),
        *(Link(other.address, other.title, "also", other.author) for other in also),
    ]
    framed = _framed(links, _trail(department))
    return Page(book.address, book.title, framed, book=book, charset=book.charset)


def _book_link(book: Book) -> Link:
    moved = book.route in (Route.MOVED, Route.MOVED_TWICE, Route.MOVED_COLLECTOR)
    target = f"/old/{book.id}.html" if moved else book.address
    return Link(target, book.title, "book", f"{book.author}, {book.price}")


def _category_link(department: Department, category: str) -> Link:
    return Link(f"/department/{department.name}/{category}/", _name(category), "trail")


def _trail(department: Department) -> Sequence[Link]:
    return (
        Link("/", "The Bookshop", "trail"),
        Link(f"/department/{department.name}/", department.title, "trail"),
    )


def _framed(links: Sequence[Link], trail: Sequence[Link] = ()) -> Sequence[Link]:
    return (*_DEPARTMENT_LINKS, *trail, *links, *_FOOTER)


def _name(category: str) -> str:
    return category.replace("-", " ").capitalize()


def by_role(page: Page) -> Mapping[str, list[Link]]:
    """The links of a page, grouped by their roles."""
    groups: dict[str, list[Link]] = {}
    for link in page.links:
        groups.setdefault(link.role, []).append(link)
    return groups
