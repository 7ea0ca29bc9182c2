"""Selectors that are looked for by another way find what parsel finds."""

import parsel
import pytest
from parsel.csstranslator import HTMLTranslator

from crawler.engine.http import selectors
from crawler.engine.http.page_selector import PageSelector

PAGE = """
<div id="top" class="box  wide"><p class=box>1<a class="link box" href="/1">x</a></p></div>
<section class="wide\tbox"><div class="box"><b id=deep>2</b>
<p>3<p class>4<p class="">5</div></section>
<p class="boxes">6<p class="un box-">7<i class="Box">8</i><i id="Top">9</i><i CLASS="box">10</i>
<svg class="box"><a id="x_y" xlink:href="#">11</a></svg><p id=top>12
"""
FIRST = [".box", "p.box", "div.box > p", ".wide .box", ".box b", "#top", "#x_y", "div#top a"]
LATER = ["b, .box", "p > .box", ".box.wide", ".box:not(.wide)", "[class=box]", "p.box:first-child"]
ENDS = ["", "::text", "::attr(class)", "::attr(href)", " + p", ":first-child", ", i"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("query", [*FIRST, *LATER])
def test_what_parsel_finds_is_found(query, end):
    page, parsels = PageSelector.of(PAGE), parsel.Selector(PAGE)
    assert page.css(query + end).getall() == parsels.css(query + end).getall()
    inner, parsels_inner = page.css("section")[0], parsels.css("section")[0]
    assert inner.css(query + end).getall() == parsels_inner.css(query + end).getall()


@pytest.mark.parametrize("query", FIRST)
def test_an_id_and_a_class_are_looked_for_among_attributes(query):
    assert (
        "[@" not in selectors.by_attribute(HTMLTranslator().css_to_xpath(query)).partition("]")[0]
    )


@pytest.mark.parametrize("query", [*LATER, "a", "div"])
def test_other_selectors_stay_as_they_are(query):
    xpath = HTMLTranslator().css_to_xpath(query)
    assert selectors.by_attribute(xpath) == xpath


def test_links_are_asked_for_their_href_and_their_policy():
    page = PageSelector.of(
        '<a href="/1">a</a><a title=x href="/2" rel="nofollow noreferrer"></a>'
        '<a class=c referrerpolicy=origin href="/3"></a><p><a href="/4"></a><a name=n></a>'
        '<a href="">empty</a><a rel=noreferrer>none</a>'
    ).root
    asked = [
        ("/1", ""),
        ("/2", "no-referrer"),
        ("/3", "origin"),
        ("/4", ""),
        ("", ""),
    ]
    assert selectors.css("a").links(page) == asked
    assert selectors.css("body").links(page) == asked
    assert selectors.css("a::attr(href)").links(page) == [(href, "") for href, _ in asked]


def test_what_is_no_link_is_named():
    with pytest.raises(selectors.BadSelector, match=r"finds 1\.0, no link"):
        selectors.xpath("1").links(PageSelector.of("<p>").root)
