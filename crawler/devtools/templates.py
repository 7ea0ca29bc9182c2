"""The files that `crawler new spider` writes: spiders that run as they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from string import Template

from crawler.engine.http import urls

NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
"""What a spider may be called."""

_BASIC = '''\
"""$name: run it with `crawler runspider $file -o $name.jsonl`."""

from crawler import Spider


class $class_name(Spider):
    name = $quoted_name
    allowed_domains = [$host]
    start_urls = [$url]

    def parse(self, response):
        yield {"url": response.url, "title": response.css("title::text").get()}
        # To go on to other pages, each of which comes back to this method:
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
        # Links that are only followed would be: Rule(LinkExtractor(allow=r"/category/")),
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
        # The callback of the first pattern that is found in the URL of a page gets it.
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
  - css: a  # the links that are followed; allow: [/category/] would keep to some
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
"""CloseConditions of the file and text of each."""


def file_name(template: str, name: str) -> str:
    """How the file of a spider is called; one that Python can import, where it is Python."""
    ending, _ = TEMPLATES[template]
    stem = re.sub(r"\W", "_", name) if ending == ".py" else name
    return f"{stem}{ending}"


def rendered(template: str, name: str, url: str) -> str:
    """The text of the file of a new spider. `name` fits NAME, `url` is safe."""
    _, text = TEMPLATES[template]
    origin = urls.origin(url)
    # JSON writes texts so that Python and YAML read them as they are.
    return text.substitute(
        name=name,
        file=file_name(template, name),
        class_name="".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", name)),
        quoted_name=json.dumps(name),
        host=json.dumps(urls.host(origin)),
        url=json.dumps(url),
        robots=json.dumps(f"{origin}/robots.txt"),
    )
