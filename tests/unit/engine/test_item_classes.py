"""Items with declared fields, and loaders."""

import json

import pytest

from crawler import Field, Item, ItemLoader, Response
from crawler.engine.items.item import declared_names, is_item
from crawler.engine.spiders.callbacks import checked


def first(values):
    return values[0] if values else None


class Book(Item):
    title = Field(output_processor=first)
    price = Field(input_processor=lambda texts: [float(text) for text in texts])


class Novel(Book):
    author = Field()


def test_an_item_is_a_dict_with_known_keys():
    book = Book(title="A", price=1)
    book["price"] = 2
    assert dict(book) == {"title": "A", "price": 2}
    assert json.loads(json.dumps(book)) == book.copy() == Book({"title": "A", "price": 2})
    assert is_item(book)
    assert list(checked(book)) == [book]
    assert declared_names(Novel()) == ["title", "price", "author"]
    assert book.get("author") is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Book(author="x"),
        lambda: Book().__setitem__("author", "x"),
        lambda: Book().update({"author": "x"}),
        lambda: Book().setdefault("author", "x"),
    ],
)
def test_other_keys_are_refused(wrong):
    with pytest.raises(KeyError, match="Book does not support field: author; allowed: title"):
        wrong()


def test_fields_are_no_attributes():
    with pytest.raises(AttributeError, match=r"allowed: item\['title'\] = "):
        Book().title = "x"
    with pytest.raises(AttributeError):
        Book().title  # noqa: B018


def test_a_loader_fills_an_item_by_its_fields():
    page = Response("http://h/", body=b"<h1>A</h1><h1>B</h1><i>1.5</i><i>2</i>")
    loader = ItemLoader(Novel(), response=page)
    loader.add_css("title", "h1::text")
    loader.add_xpath("price", "//i/text()")
    loader.add_value("author", "me")
    item = loader.load_item()
    assert type(item) is Novel
    assert item == {"title": "A", "price": [1.5, 2.0], "author": ["me"]}


def test_a_loader_without_an_item_fills_a_dict_when_asked_to():
    loader = ItemLoader(item={}, response=Response("http://h/", body=b"<b>x</b>"))
    loader.add_css("b", "b::text")
    assert loader.load_item() == {"b": ["x"]}
