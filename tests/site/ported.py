"""The sites that the spiders of examples/ported crawl."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from tests.site.pages import HTML, Asked, Page, Reply

QUOTES = 35
AUTHORS = 6
PRODUCTS = 24
TOKEN = "t0k3n&<"
SESSION = "s3ss10n"


def quotes(asked: Asked) -> Reply:
    """/quotes/page/1/ up to 4, each with ten quotes, and /quotes/author/<n>/."""
    kind, number = asked.path.strip("/").split("/")[1:]
    if kind == "author":
        return _page(
            f"<h3 class=author-title> Author {number} </h3>"
            f"<span class=author-born>May {number}</span>"
        )
    first = (int(number) - 1) * 10
    shown = range(first, min(first + 10, QUOTES))
    following = f"<li class=next><a href='/quotes/page/{int(number) + 1}/'>Next</a></li>"
    return _page("".join(map(_quote, shown)) + (following if first + 10 < QUOTES else ""))


def _quote(number: int) -> str:
    author = number % AUTHORS
    tags = "".join(f"<a class=tag href=/tag/{n}>tag {n}</a>" for n in range(number % 4))
    return (
        f"<div class=quote><span class=text>“Quote {number}”</span> <span>by <small class=author>"
        f"Author {author}</small> <a href='/quotes/author/{author}/'>(about)</a></span>"
        f"<div class=tags>{tags}</div></div>"
    )


def shop(asked: Asked) -> Reply:
    """/shop/, /shop/category/<n>?page=2, /shop/product/<n>; links to products carry a session."""
    parts = asked.path.strip("/").split("/")
    if parts[-1] == "print":
        return _page("<h1>for paper</h1>")
    if len(parts) == 3 and parts[1] == "product":
        return _product(int(parts[2]))
    categories = "".join(f"<a href=/shop/category/{n}>c{n}</a>" for n in range(3))
    body = f"<nav class=categories>{categories}</nav><a href='/shop/hidden'>no rule leads here</a>"
    if len(parts) == 3:
        body += _category(int(parts[2]), int(asked.query.get("page", "1")))
    return _page(body)


def _category(number: int, page: int) -> str:
    mine = range(number, PRODUCTS, 3)[(page - 1) * 5 : page * 5]
    links = "".join(
        f"<li><a href='/shop/product/{n}?sid=abc'>p{n}</a>"
        f"<a href=/shop/product/{n}/print>p</a></li>"
        for n in mine
    )
    return f"<ul>{links}</ul><p class=pages><a href='?page=1'>1</a> <a href='?page=2'>2</a></p>"


def _product(number: int) -> Reply:
    features = "".join(f"<li>feature {n}</li>" for n in range(number % 3))
    return _page(
        f"<h1>Product {number}</h1><p class=price> EUR {number}.50 </p>"
        f"<ul class=features>{features}</ul><a href=/shop/product/{number + 1}>next</a>"
    )


def account(asked: Asked) -> Reply:
    """/account/login, a form; /account/orders and /account/order/<n>, for who has logged in."""
    kind = asked.path.strip("/").split("/")[1]
    if kind == "login":
        return _login(asked)
    if f"session={SESSION}" not in asked.headers.get("HTTP_COOKIE", ""):
        return Reply(b"<p>wrong session</p>", 403, [HTML])
    if kind == "orders":
        links = "".join(f"<li><a href=/account/order/{n}>{n}</a></li>" for n in range(5))
        return _page(f"<ul class=orders>{links}</ul>")
    number = int(asked.path.rsplit("/", 1)[1])
    status = {3: 403, 4: 404}.get(number, 200)
    return Reply(f"<b class=total>{number * 10}.00</b>".encode(), status, [HTML])


def _login(asked: Asked) -> Reply:
    if asked.method != "POST":
        token = TOKEN.replace("&", "&amp;").replace("<", "&lt;")
        return _page(
            "<form action=/find><input name=q></form><form id=login method=post>"
            f"<input type=hidden name=csrf value='{token}'><input name=user><input name=password>"
            "<input type=submit name=go value=in></form>"
        )
    sent = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
    if sent != {"csrf": TOKEN, "user": "reader", "password": "secret", "go": "in"}:
        return _page("wrong")
    lines = [HTML, ("Location", "/account/orders"), ("Set-Cookie", f"session={SESSION}; Path=/")]
    return Reply(b"", 302, lines)


def _page(body: str) -> Reply:
    return Reply(f"<!DOCTYPE html><html><body>{body}</body></html>".encode())


PORTED: Mapping[str, Page] = {"quotes": quotes, "shop": shop, "account": account}
