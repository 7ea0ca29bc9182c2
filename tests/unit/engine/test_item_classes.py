"""Items with declared fields, and loaders."""

import dataclasses
import json

import pytest

from crawler import Field, Item, ItemLoader, Response
from crawler.engine.items.item import declared_names, fields_of, is_item
from crawler.engine.items.sinks.json_lines import to_line
from crawler.engine.items.sinks.kinds import record_of
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


def test_an_item_has_attributes_of_its_own_and_copies():
    book = Book(title=[1])
    book._page = 3
    copied = book.deepcopy()
    copied["title"].append(2)
    assert (book["title"], copied["title"], copied._page) == ([1], [1, 2], 3)
    assert type(copied) is Book
    with pytest.raises(AttributeError, match=r"has no attribute 'title'; allowed: item\['title'\]"):
        book.title  # noqa: B018


class Left(Item):
    fields = {"size": Field(by="left"), "age": Field(by="left")}  # noqa: RUF012
    kind = Field(by="left")


class Right(Left):
    fields = {"size": Field(by="right")}  # noqa: RUF012
    kind = Field(by="right")


class Other(Left):
    pass


class Stranger:
    fields = {"odd": Field()}  # noqa: RUF012


class Both(Other, Right, Stranger):
    fields = {"new": Field(by="both")}  # noqa: RUF012


def test_fields_come_from_the_body_and_from_all_bases_as_attributes_do():
    assert {name: said["by"] for name, said in Both.fields.items()} == {
        "size": "right",
        "age": "left",
        "kind": "right",
        "new": "both",
    }
    assert Both(new=1, size=2) == {"new": 1, "size": 2}
    with pytest.raises(KeyError):
        Both(odd=1)
    assert Left.fields["size"] == {"by": "left"}


@dataclasses.dataclass
class Priced:
    price: float = dataclasses.field(metadata={"serializer": "EUR {}".format})
    title: str = "t"


class Tagged(Item):
    price = Field(serializer="EUR {}".format)
    title = Field(serializer=None)


@pytest.mark.parametrize("item", [Priced(5), Tagged(price=5, title="t")])
def test_a_field_is_serialized_when_it_is_written(item):
    assert json.loads(to_line(item)) == {"price": "EUR 5", "title": "t"}
    assert record_of(item)[0] == {"price": "EUR 5", "title": "t"}
    assert dict(fields_of(item)) == {"price": 5, "title": "t"}


def test_a_loader_refuses_an_unknown_field_at_once():
    with pytest.raises(KeyError, match="Book does not support field: author; allowed: title"):
        ItemLoader(Book()).add_value("author", "x")
