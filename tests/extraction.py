"""What is taken from a page to compare two implementations: the same calls on both."""

from __future__ import annotations

from typing import Any

from crawler.engine.http import urls

CSS = (
    "title::text",
    "h1::text",
    ".product .price::text",
    "a::attr(href)",
    "li.nav > a::text",
    "tr:nth-child(2) td ::text",
    "div.post::text",
    "a[rel~=nofollow]::attr(href)",
    "p",
    "#p3 h2::text",
    "form input::attr(name)",
    "a:not([href*='shop'])::text",
    "article p:first-of-type",
)
XPATHS = (
    "//title/text()",
    "//a/@href",
    "//a[contains(@href, 'page')]/text()",
    "count(//a)",
    "//*[has-class('product')]/h2/text()",
    "//td[2]//text()",
    "string(//body)",
    "//a[re:test(@href, '\\d+$')]/@href",
    "//comment()",
    "//form//@name",
    "name(//*[last()])",
)
EXTRACTORS: dict[str, dict[str, Any]] = {
    "plain": {},
    "allow": {"allow": r"page|item", "deny": [r"\?", "page3"]},
    "domains": {"allow_domains": ["shop.example", "base.example"]},
    "deny_domains": {"deny_domains": ["shop.example", "site1.example"]},
    "regions": {"restrict_css": ["nav", ".post", "main"], "restrict_xpaths": "//table//td[last()]"},
    "text": {"restrict_text": ["next", "зима"]},
    "tags": {"tags": ("a", "img", "link", "area"), "attrs": ("href", "src"), "deny_extensions": ()},
    "everything": {
        "tags": "*",
        "attrs": "*",
        "deny_tags": ["img"],
        "deny_attrs": ["class", "name"],
    },
    "canonical": {"canonicalize": True},
    "repeated": {"unique": False},
    "unstripped": {"strip": False},
    "extensions": {"deny_extensions": ["html"]},
    "changed": {"process_value": lambda value: value.replace("/dup", "/new") if value else None},
}


def results(response: Any, follow: Any, extractor: Any, form_request: Any) -> dict[str, Any]:
    """Everything that is compared, by name, as JSON has it; `follow` is one of the two below."""
    found: dict[str, Any] = {}
    for query in CSS:
        found[f"css {query}"] = response.css(query).getall()
    for query in XPATHS:
        found[f"xpath {query}"] = response.xpath(query).getall()
    found["re"] = response.css("a::text").re(r"\w+")
    found["urljoin"] = [_normal(response.urljoin(href)) for href in ("x", "../y?z=1", "//h/", "")]
    for query in ("a", "a[href*=page]", "nav a::attr(href)", "link"):
        found[f"follow css {query}"] = follow(response, css=query)
    for query in ("//a", "//td//a/@href", "//div[@class='post']/a"):
        found[f"follow xpath {query}"] = follow(response, xpath=query)
    for name, options in EXTRACTORS.items():
        links = extractor(**options).extract_links(response)
        found[f"links {name}"] = [[_normal(link.url), link.text, link.nofollow] for link in links]
    found.update(_forms(response, form_request))
    return found


def _forms(response: Any, form_request: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    fillings: dict[str, dict[str, Any]] = {
        "as it is": {},
        "filled": {
            "formname": "search",
            "formdata": {"q": "u 1", "token": None, "more": ["1", "2"]},
        },
        "clicked": {"formcss": "select", "clickdata": {"name": "other"}, "method": "POST"},
        "unclicked": {"formxpath": "//textarea", "dont_click": True, "url": "/elsewhere"},
    }
    for name, options in fillings.items():
        try:
            made = form_request.from_response(response, **options)
        except ValueError:
            found[f"form {name}"] = None
        else:
            found[f"form {name}"] = [made.method, _sent(made.url), (made.body or b"").decode()]
    return found


def _sent(url: str) -> str:
    return urls.safe(url)


def _normal(url: str) -> str:
    """The form of a URL in which two are equal that browsers do not tell apart."""
    return urls.parse(url).href


def one_by_one(response: Any, **selector: str) -> list[str]:
    """What `follow_all` of Scrapy gives but for links that are none, at which it raises."""
    query = selector.get("css") or selector["xpath"]
    selected = response.css(query) if "css" in selector else response.xpath(query)
    return [sent for link in selected if (sent := _followed(response, link))]


def at_once(response: Any, **selector: str) -> list[str]:
    """What our `follow_all` gives."""
    return [_sent(request.url) for request in response.follow_all(**selector)]


def _followed(response: Any, link: Any) -> str:
    try:
        url = response.follow(link).url
    except ValueError:
        return ""
    return _sent(url) if url.lower().startswith(("http://", "https://")) else ""
