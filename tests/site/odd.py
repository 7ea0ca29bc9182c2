"""Pages with markup that is none, in encodings that are none, or behind a door."""

from __future__ import annotations

from collections.abc import Mapping

from tests.site.asked import HTML, Asked, Page, Reply, html

_LINK = b"<title>odd</title><a href=/page/1>on</a>"
MARKUP = {
    "empty": b"",
    "unclosed": b"<html><body><div><p><table><tr><td>" + _LINK,
    "crossed": b"<b><i></b></p></i></html>" + _LINK + b"</head>",
    "deep": b"<div>" * 5000 + _LINK,
    "twice": (b"<html><head></head><body>" + _LINK) * 2,
    "binary": bytes(range(256)) + b">" + _LINK,
    "quotes": b"<p class=\"a'b id='c>\">" + _LINK,
    "open quote": _LINK + b'<a href="/page/2>never closed',
    "open comment": _LINK + b"<!-- <a href=/page/2>",
}


def markup(asked: Asked) -> Reply:
    """/markup/deep and others: broken HTML with a link in it."""
    return Reply(MARKUP[asked.path.rsplit("/", 1)[1]], 200, [("Content-Type", "text/html")])


def cookie_wall(asked: Asked) -> Reply:
    """/cookie-wall: a page for who has the cookie that /cookie-wall/give gives to others."""
    if asked.path.endswith("/give"):
        return Reply(b"", 302, [("Set-Cookie", "may=1; Path=/"), ("Location", "/cookie-wall")])
    if "may=1" in asked.headers.get("HTTP_COOKIE", ""):
        return html("in")
    return Reply(b"no cookie", 403)


def login(asked: Asked) -> Reply:
    """/members: a page for `me`, whose secret is `pass`."""
    if asked.headers.get("HTTP_AUTHORIZATION") == "Basic bWU6cGFzcw==":
        return html("welcome")
    return Reply(b"who?", 401, [HTML, ("WWW-Authenticate", 'Basic realm="r"')])


ODD: Mapping[str, Page] = {"markup": markup, "cookie-wall": cookie_wall, "members": login}
