"""The files that `crawler new spider` writes. The spiders run as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from string import Template

from crawler.engine.http import urls

NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
"""The names that a spider may have."""

_BASIC = '''\
"""$name: run it with `crawler runspider $file -o $name.jsonl`."""

from crawler import Spider


class $class_name(Spider):
    name = $quoted_name
    allowed_domains = [$host]
    start_urls = [$url]

    def parse(self, response):
        yield {"url": response.url, "title": response.css("title::text").get()}
        # To follow other pages; this method gets each of them:
        # yield from response.follow_all(css="a.next")
'''

_CRAWL = '''\
"""$name: run it with `crawler runspider $file -o $name.jsonl`."""

from crawler import CrawlSpider, LinkExtractor, Rule


class $class_name(CrawlSpider):
    name = $quoted_name
    allowed_domains = [$host]
    start_urls = [$url]
    rules = [
        # A rule that only follows links: Rule(LinkExtractor(allow=r"/category/")),
        Rule(LinkExtractor(), callback="parse_page", follow=True),
    ]

    def parse_page(self, response):
        yield {"url": response.url, "title": response.css("title::text").get()}
'''

_SITEMAP = '''\
"""$name: run it with `crawler runspider $file -o $name.jsonl`."""

from crawler import SitemapSpider


class $class_name(SitemapSpider):
    name = $quoted_name
    allowed_domains = [$host]
    sitemap_urls = [$robots]  # or the address of a sitemap
    sitemap_rules = [
        # The first pattern that is found in the URL of a page decides its callback.
        (r"", "parse_page"),
    ]

    def parse_page(self, response):
        yield {"url": response.url, "title": response.css("title::text").get()}
'''

_YAML = """\
# $name: run it with `crawler runspider $file -o $name.jsonl`.
name: $quoted_name
start_urls: [$url]
follow:
  - css: a  # which links to follow; allow: [/category/] would follow only some
items:
  - fields:
      url: {from: url}
      title: title
"""

TEMPLATES: Mapping[str, tuple[str, Template]] = {
    "basic": (".py", Template(_BASIC)),
    "crawl": (".py", Template(_CRAWL)),
    "sitemap": (".py", Template(_SITEMAP)),
    "yaml": (".yaml", Template(_YAML)),
}
"""Template → the suffix and the text of its file."""


def file_name(template: str, name: str) -> str:
    """The name of a spider's file. A Python file gets a name that Python can import."""
    ending, _ = TEMPLATES[template]
    stem = re.sub(r"\W", "_", name) if ending == ".py" else name
    return f"{stem}{ending}"


def rendered(template: str, name: str, url: str) -> str:
    """The text of the file of a new spider. `name` matches NAME, `url` is safe."""
    _, text = TEMPLATES[template]
    origin = urls.origin(url)
    # Python and YAML read the texts that JSON writes.
    return text.substitute(
        name=name,
        file=file_name(template, name),
        class_name="".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", name)),
        quoted_name=json.dumps(name),
        host=json.dumps(urls.host(origin)),
        url=json.dumps(url),
        robots=json.dumps(f"{origin}/robots.txt"),
    )
