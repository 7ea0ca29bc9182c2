"""Files that are complete after each batch: JSON arrays, XML, and anything in gzip."""

import csv
import dataclasses
import gzip
import io
import json

import pytest
from lxml import etree

from crawler.engine.items.sinks.targets import file_writer, format_of
from tests.depth import deep

PACKED = ("jsonl.gz", "json.gz", "csv.gz", "xml.gz")
KINDS = ("json", "xml", *PACKED)


def text_of(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def read(path):
    """The numbers of the items in a file, read as a stranger reads it."""
    raw, kind = text_of(path), format_of(path.name).removesuffix(".gz")
    if kind == "json":
        found = json.loads(raw)
    elif kind == "jsonl":
        found = [json.loads(line) for line in raw.splitlines()]
    elif kind == "csv":
        found = list(csv.DictReader(io.StringIO(raw.decode())))
    else:
        found = [{each.tag: each.text for each in item} for item in etree.fromstring(raw)]
    return [int(each["n"]) for each in found]


def wrote(path, *batches, fresh=False, close=True):
    writer = file_writer(format_of(path.name), path, fresh)
    try:
        writer.open()
    except OSError:
        writer.close()
        raise
    for batch in batches:
        assert not writer.write(
            [writer.encode({"n": n, "text": "</item>\n"}, "")[0] for n in batch]
        )
    if close:
        writer.close()
    return writer


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_complete_after_each_batch(tmp_path, kind):
    path = tmp_path / f"items.{kind}"
    writer = wrote(path, [1, 2], close=False)
    assert read(path) == [1, 2]
    writer.write([writer.encode({"n": 3, "text": ""}, "")[0]])
    assert read(path) == [1, 2, 3]
    writer.close()
    wrote(path, [4], [5])
    assert read(path) == [1, 2, 3, 4, 5]
    wrote(path, [6], fresh=True)
    assert read(path) == [6]


@pytest.mark.parametrize("kind", KINDS)
def test_a_crawl_without_items_leaves_a_complete_file(tmp_path, kind):
    path = tmp_path / f"items.{kind}"
    wrote(path)
    assert read(path) == []
    wrote(path, [1])
    assert read(path) == [1]


@pytest.mark.parametrize(
    "kind", ["json", "xml", "jsonl.gz", *(pytest.param(kind, marks=deep) for kind in PACKED[1:])]
)
def test_a_file_that_is_cut_off_anywhere_is_mended(tmp_path, kind):
    path = tmp_path / f"items.{kind}"
    wrote(path, [1, 2], [3])
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        wrote(path, [9])
        *before, last = read(path)
        assert last == 9
        assert before == [1, 2, 3][: len(before)], size
    assert before == [1, 2, 3] or kind in ("jsonl.gz", "csv.gz")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"n": 1}\n'),
        ("a.json", b"[1, 2]\n"),
        ("a.xml", b"<shop><item><n>1</n></item></shop>\n"),
        ("a.json.gz", gzip.compress(b'[{"n": 1}]')),
        ("a.xml.gz", b"<items/>"),
        ("a.jsonl.gz", b'{"n": 1}\n'),
    ],
)
def test_the_file_of_somebody_else_is_left_alone(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"a\.\w+.*-O starts it anew"):
        wrote(path, [1])
    assert path.read_bytes() == content
    wrote(path, [1], fresh=True)
    assert read(path) == [1]


@pytest.mark.parametrize("content", ['[{"n": 1}]', '[\n  {\n    "n": 1\n  }\n]\n\n'])
def test_an_array_of_somebody_else_is_continued(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    wrote(path, [2])
    assert read(path) == [1, 2]


@pytest.mark.parametrize("name", ["a.gz", "a.db.gz", "a.parquet.gz", "a.txt.gz", "a.gz.json.bz2"])
def test_only_texts_are_packed(name):
    assert format_of(name) == ""


def test_the_names_of_formats_are_those_of_files():
    assert [format_of(f"A.{kind.upper()}") for kind in KINDS] == list(KINDS)


@dataclasses.dataclass
class Offer:
    price: float


def test_xml_has_the_shape_of_scrapys(tmp_path):
    path = tmp_path / "items.xml"
    writer = file_writer("xml", path)
    writer.open()
    item = {
        "name": "a < b & c\x00",
        "tags": ["x", "y"],
        "offers": [Offer(1.5), {"price": 2}],
        "1st price (€)": True,
        "none": None,
    }
    writer.write([writer.encode(item, "")[0]])
    writer.close()
    assert path.read_text() == (
        '<?xml version="1.0" encoding="utf-8"?>\n<items>\n'
        "<item><name>a &lt; b &amp; c\ufffd</name><tags><value>x</value><value>y</value></tags>"
        "<offers><value><price>1.5</price></value><value><price>2</price></value></offers>"
        "<_1st_price__€_>True</_1st_price__€_><none>None</none></item>\n</items>\n"
    )
    assert etree.parse(path)
