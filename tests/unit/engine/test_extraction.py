"""Extraction compared with Scrapy's own, on pages of every shape the web has."""

import base64
import json
import subprocess
import sys

import pytest

from crawler import FormRequest, LinkExtractor, Response
from tests.depth import examples
from tests.extraction import at_once, results
from tests.site.real import pages
from tests.waiting import PATIENCE_S

PAGES = pages(examples(320))


def ours(page):
    return Response(page.url, headers={"Content-Type": page.content_type}, body=page.body)


@pytest.fixture(scope="module")
def scrapys():
    """What Scrapy finds in each of the pages."""
    cases = [{**vars(page), "body": base64.b64encode(page.body).decode("ascii")} for page in PAGES]
    command = [sys.executable, "-m", "tests.scrapy_side", "extract"]
    run = subprocess.run(
        command,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=3 * PATIENCE_S,
    )
    return json.loads(run.stdout)


def test_everything_that_is_extracted_is_what_scrapy_extracts(scrapys):
    assert len(scrapys) == len(PAGES)
    for page, theirs in zip(PAGES, scrapys):
        found = results(ours(page), at_once, LinkExtractor, FormRequest)
        assert found.keys() == theirs.keys()
        for name in theirs:
            assert found[name] == theirs[name], f"{name} of {page.url}"


def test_the_pages_are_worth_comparing(scrapys):
    """Each of the comparisons finds something in a tenth of the pages and more."""
    for name in scrapys[0]:
        assert sum(bool(theirs[name]) for theirs in scrapys) > len(PAGES) / 10, name
