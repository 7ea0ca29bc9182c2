"""Items of a crawl that goes on, as they come."""

import json

import pytest

from crawler.errors import InvalidArgument
from crawler.items import items_of
from crawler.items.following import followed


class Growing:
    """The files of a crawl, which change at each pause."""

    def __init__(self, folder, *steps, format="jsonl"):
        self.folder, self.steps = folder / "shop", list(steps)
        self.folder.mkdir()
        self.format = format
        self.write(1, "")

    def write(self, epoch, text, files=(1,)):
        line = {"id": "7", "epoch": epoch, "files": [f"7-{each}" for each in files]}
        with (self.folder / ".runs").open("a") as runs:
            runs.write(f"{json.dumps(line)}\n")
        self.add(epoch, text)

    def add(self, epoch, text):
        with (self.folder / f"7-{epoch}.{self.format}.part").open("a") as file:
            file.write(text)

    def end(self):
        for part in self.folder.glob("*.part"):
            part.rename(part.with_suffix(""))

    def pause(self):
        self.steps.pop(0)(self)

    def seen(self):
        found = followed(lambda: items_of("shop", self.folder.parent), self.pause)
        return [item["n"] for item in found]


def test_each_item_comes_once_when_its_line_is_whole_until_the_crawl_ends(tmp_path):
    crawl = Growing(
        tmp_path,
        lambda its: its.add(1, '{"n": 1}\n{"n"'),
        lambda its: its.add(1, ": 2}\n"),
        lambda its: its.write(2, '{"n": 3}\n', files=(1, 2)),
        lambda its: (its.add(2, '{"n": 4}\n'), its.end()),
    )
    assert crawl.seen() == [1, 2, 3, 4]
    assert crawl.steps == []


def test_what_is_not_json_lines_cannot_be_followed(tmp_path):
    crawl = Growing(tmp_path, format="csv")
    with pytest.raises(
        InvalidArgument, match="--follow: the crawl has csv alone; allowed is jsonl"
    ):
        crawl.seen()
