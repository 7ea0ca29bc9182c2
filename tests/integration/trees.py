"""An engine with a spider that reads every page of a tree of pages."""

import pytest

from crawler import Spider
from tests.site.crawling import running_engine


class Tree(Spider):
    name = "tree"

    def parse(self, response):
        yield {"page": int(response.url.rsplit("/", 1)[1])}
        yield from response.follow_all(css="a")


@pytest.fixture
def engine():
    with running_engine(Tree, host_concurrency=2, delay_s=0.002) as engine:
        yield engine
