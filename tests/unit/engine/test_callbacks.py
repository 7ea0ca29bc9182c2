"""Callbacks: what they may be and what they may yield."""

import dataclasses

import pytest

from crawler import Request, Response, Spider
from crawler.engine.spiders.callbacks import BadOutput, checked, outputs


@dataclasses.dataclass
class Item:
    n: int


REQUEST = Request("http://h/")


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (None, []),
        ({"a": 1}, [{"a": 1}]),
        (Item(1), [Item(1)]),
        (REQUEST, [REQUEST]),
        ([{"a": 1}, None, REQUEST], [{"a": 1}, REQUEST]),
        ((x for x in ({"a": 1}, Item(2))), [{"a": 1}, Item(2)]),
        ([], []),
    ],
)
def test_a_callback_may_give_nothing_one_or_many(result, found):
    assert list(checked(result)) == found


@pytest.mark.parametrize("result", [3, "text", [3], ["http://h/"], [Item], [[{"a": 1}]]])
def test_other_outputs_are_refused_by_name(result):
    with pytest.raises(BadOutput, match=r"is not allowed; allowed: a Request, or an item"):
        list(checked(result))


class Three(Spider):
    name = "three"

    def parse(self, response):
        return {"by": "parse"}

    def other(self, response, extra=""):
        return {"by": f"other{extra}"}


@pytest.mark.parametrize(
    ("callback", "cb_kwargs", "by"),
    [
        (None, None, "parse"),
        ("other", None, "other"),
        ("other", {"extra": "!"}, "other!"),
        (Three().other, {"extra": "?"}, "other?"),
    ],
)
def test_a_callback_is_given_or_named_or_parse(callback, cb_kwargs, by):
    request = Request("http://h/", callback, cb_kwargs=cb_kwargs)
    response = Response("http://h/", request=request)
    assert list(outputs(Three(), response)) == [{"by": by}]


def test_an_unknown_name_is_an_error():
    request = Request("http://h/", "nobody")
    with pytest.raises(AttributeError, match="nobody"):
        outputs(Three(), Response("http://h/", request=request))


def test_parameters_become_attributes():
    spider = Three(category="poetry", start_urls=["http://a/"])
    assert spider.category == "poetry"
    assert [request.url for request in spider.start()] == ["http://a/"]


def test_a_single_start_url_need_not_be_in_a_list():
    assert [request.url for request in Spider(start_urls="http://a/").start()] == ["http://a/"]
