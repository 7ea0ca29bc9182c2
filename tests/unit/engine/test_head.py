"""The tags of a head are found as browsers, and libxml2, find them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from crawler.engine.http import head

PIECES = st.sampled_from(
    [
        *("<meta charset=a>", "<base href=b>", "<META CHARSET='a>b'/>", '<base\nhref = "c" >'),
        *("<script>", "</script>", "<style>", "</style >", "<title>", "</title>", "<textarea>"),
        *("</textarea>", "<!--", "-->", "<!-->", "--!>", "<!doctype x>", "<?x", "</", "</>"),
        *("<link a='", '<a title="<meta charset=c>">', "'", '"', ">", "<", "=", " ", "text"),
        *("<html>", "<head>", "<p>", "<meta name=\"x>y\" content='<base href=z>'>"),
    ]
)


def told(tag):
    return tag.get("charset"), tag.get("href")


@given(st.lists(PIECES, max_size=14).map("".join))
def test_of_any_soup_the_tags_are_those_of_the_tree(soup):
    tree = html.document_fromstring(f"<html>{soup}</html>x")
    theirs = [(tag.tag, *told(tag)) for tag in tree.iter("meta", "base")]
    assert [(tag.name, *told(tag)) for tag in head.tags(soup)] == theirs


@pytest.mark.parametrize("hides", ["noscript", "template", "iframe", "xmp"])
def test_what_has_no_effect_in_a_tree_is_no_tag(hides):
    page = f"<{hides}><base href=a></{hides}><base href=b>"
    assert [tag.get("href") for tag in head.tags(page)] == ["b"]


def test_an_attribute_has_its_first_value_with_references_as_characters():
    (tag,) = head.tags("<BASE Href=' /a&amp;b&#x2F;&copy=1 ' href=no TARGET>")
    assert (tag.get("href"), tag.get("target"), tag.get("id")) == ("/a&b/&copy=1", "", None)
    assert tag.mentions("&amp;b")


def test_a_page_without_the_words_is_not_searched():
    page = "<head>" + "<link href=x>" * 200 + "{}</head><body><base href=a>"
    assert list(head.tags(page.format(""), "<base")) == []
    assert [tag.name for tag in head.tags(page.format("<BASE href=b>"), "<base")] == ["base"]
