"""Pages as the web has them, made by a seeded generator: every shape, broken ones included."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

WORDS = {
    "utf-8": [
        "river",
        "stone",
        "Åland",
        "über",
        "東京",
        "naïve",
        "price",
        "“quoted”",
        "–",
        "dash",
        "☃",
        "winter",
    ],
    "iso-8859-1": ["café", "über", "naïve", "señor", "plain", "words", "of", "a", "page"],
    "windows-1251": ["река", "камень", "зима", "цена", "страница", "слово"],
    "shift_jis": ["東京", "大阪", "値段", "日本語", "ページ"],
    "gb2312": ["中文", "价格", "页面", "城市", "天气"],
    "euc-kr": ["서울", "가격", "날씨", "page"],
}
HREFS = (
    "/{n}/page.html",
    "item{n}.html",
    "../up/{n}",
    "./here/{n}?a=1&amp;b=2",
    "?page={n}",
    "#top-{n}",
    "//other.example/{n}",
    "http://shop.example/{n}?b=2&a=1",
    "HTTP://UPPER.Example/{n}",
    "https://ports.example:8443/x/{n}",
    " /spaces/{n} ",
    "\n/lines/{n}\n",
    "/{w}/{n}",
    "/find?q={w}",
    "mailto:me{n}@x.example",
    "javascript:go({n})",
    "tel:+{n}",
    "ftp://files.example/{n}",
    "http://[broken/{n}",
    "/file{n}.pdf",
    "/file{n}.PDF;v=1",
    "/photo{n}.jpg",
    "/a/../b/./{n}",
    "/%7Euser/{n}",
    "/with space/{n}",
    "",
    "http://shop.example",
    "/dup",
    "/dup#again",
    "page;x={n}",
)


@dataclass(frozen=True)
class RealPage:
    url: str
    content_type: str
    body: bytes


def pages(count: int, seed: int = 1) -> list[RealPage]:
    random = Random(seed)
    return [_Maker(random, number).page() for number in range(count)]


class _Maker:
    def __init__(self, random: Random, number: int) -> None:
        self.random = random
        self.number = number
        self.charset = random.choice([*WORDS, "utf-8", "utf-8"])
        self.kind = (self.article, self.shop, self.forum, self.table, self.soup)[number % 5]

    def page(self) -> RealPage:
        url = f"http://site{self.number % 7}.example/dir/sub/page{self.number}.html?x=1"
        declared = self.random.choice(["header", "meta", "equiv"])
        content_type = "text/html"
        if declared == "header":
            content_type += f"; charset={self.charset}"
        html = self.document(self.head(declared), self.kind())
        return RealPage(url, content_type, html.encode(self.charset, "xmlcharrefreplace"))

    def document(self, head: str, body: str) -> str:
        doctype = self.random.choice(["<!DOCTYPE html>\n", "", "<?xml version='1.0'?>\n"])
        if "xml" in doctype:
            doctype = "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN' 'x.dtd'>\n"
        return f"{doctype}<html lang='x'><head>{head}</head><body>{body}</body></html>"

    def head(self, declared: str) -> str:
        metas = {
            "header": "",
            "meta": f"<meta charset='{self.charset}'>",
            "equiv": f"<META http-equiv=Content-Type content='text/html; charset={self.charset}'>",
        }
        bases = [
            "",
            "",
            "",
            "<base href='/base/dir/'>",
            "<base href='http://base.example/b/'>",
            "<base target=_blank>",
        ]
        links = "<link rel=stylesheet href=/s.css><link rel='next' href='?page=2'>"
        script = "<script>if (a < b && c > d) document.write('<a href=\"/js\">x</a>')</script>"
        title = f"<title>{self.words(3)} &amp; {self.words(1)}</title>"
        return metas[declared] + title + self.random.choice(bases) + links + script

    def words(self, count: int) -> str:
        return " ".join(self.random.choice(WORDS[self.charset]) for _ in range(count))

    def link(self) -> str:
        href = self.random.choice(HREFS).format(n=self.random.randint(1, 40), w=self.words(1))
        quote = self.random.choice(["'", '"'])
        attributes = f"href={quote}{href}{quote}" if self.random.random() < 0.95 else "name=anchor"
        rel = self.random.choice(
            ["", "", "", " rel=nofollow", " rel='ugc nofollow'", " class=more"]
        )
        text = self.random.choice(
            [self.words(2), f"<b>{self.words(1)}</b> next", "<img src=/i.png>"]
        )
        return f"<a {attributes}{rel}>{text}</a>"

    def links(self, count: int, between: str = " ") -> str:
        return between.join(self.link() for _ in range(count))

    def nav(self) -> str:
        items = "".join(f"<li class=nav>{self.link()}</li>" for _ in range(4))
        areas = "<map name=m><area href='/area/1' alt=a><AREA HREF=area2></map>"
        return f"<nav><ul>{items}</ul></nav>{areas}{self.form()}"

    def form(self) -> str:
        options = "".join(
            f"<option value={n}{' selected' if self.random.random() < 0.3 else ''}>{n}"
            for n in range(3)
        )
        return (
            f"<form name=search action='/find?old=1' method={self.random.choice(['get', 'POST'])}>"
            f"<input name=q value='{self.words(1)}'><input type=hidden name=token value=t&amp;1>"
            "<input type=checkbox name=c1 value=1 checked><input type=checkbox name=c2 value=2>"
            "<input type=RADIO name=r value=a><input type=radio name=r value=b checked>"
            f"<select name=s>{options}</select><select name=m multiple>{options}</select>"
            f"<textarea name=t>{self.words(2)}</textarea><input type=file name=f>"
            "<button name=go value=now>Go</button><input type=image name=i value=1>"
            "<input type=submit name=other value=later></form>"
        )

    def article(self) -> str:
        paragraphs = "".join(
            f"<p>{self.words(12)} {self.link()} &mdash; {self.words(5)}</p>" for _ in range(6)
        )
        return f"{self.nav()}<article><h1>{self.words(4)}</h1>{paragraphs}</article>{self.links(6)}"

    def shop(self) -> str:
        items = "".join(
            f"<div class='product card' id=p{n}><h2>{self.words(2)}</h2>"
            f"<span class=price>{n},99&nbsp;€</span>{self.link()}</div>"
            for n in range(8)
        )
        return f"{self.nav()}<main>{items}</main><div class=pages>{self.links(4)}</div>"

    def forum(self) -> str:
        posts = "".join(
            f"<div class=post><blockquote>{self.words(3)}<blockquote>{self.link()}</blockquote>"
            f"</blockquote>{self.words(8)}<br>{self.links(2)}<!-- {self.link()} --></div>"
            for _ in range(5)
        )
        return self.nav() + posts

    def table(self) -> str:
        rows = "".join(
            f"<tr><td>{self.words(1)}<td>{n}</td><td>{self.link()}</tr>" for n in range(6)
        )
        return f"{self.nav()}<table border=1><tr><th>a<th>b<th>c{rows}</table>"

    def soup(self) -> str:
        pieces = [
            f"<p>{self.words(2)}<div><b><i>{self.link()}</b></i>",
            f"<a href='/open{self.number}'>",
            f"<a href=/nested>{self.link()}</a>",
            "<ul><li>one<li>two</ol>",
            "</div></p></span>",
            f"<a href='/unclosed>{self.words(1)}</a><a href='/after'>",
            "<td>stray</td>",
            "&nosuch; &#0;",
            f"<p class=a class=b>{self.links(3)}",
            "<!-- open",
            "<svg><a xlink:href='/svg'>s</a></svg>",
            f"<template>{self.link()}</template>",
            "<noscript><a href=/ns>n</a></noscript>",
            "<>< a>",
        ]
        self.random.shuffle(pieces)
        return "".join(pieces[:10])
