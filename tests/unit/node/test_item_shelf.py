"""The files of items of a machine, as a worker gives them away: these alone."""

import pytest

from crawler.errors import InvalidArgument, NotFound
from crawler.node.run.item_shelf import ItemShelf


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "items" / "shop"
    (found / "7-1.parquet").mkdir(parents=True)
    return found


def test_a_file_that_has_got_its_name_meanwhile_is_read_too(folder, tmp_path):
    (folder / "7-1.parquet" / "part-1.parquet").write_bytes(b"abc")
    (folder / "7-2.jsonl").write_bytes(b"{}")
    shelf = ItemShelf(tmp_path / "items")
    assert shelf.read("shop", "7-1.parquet/part-1.parquet", 1) == b"bc"
    assert shelf.read("shop", "7-2.jsonl.part", 0) == b"{}"


def test_no_link_is_followed(folder, tmp_path):
    (tmp_path / "part-1.parquet").write_bytes(b"of others")
    (folder / "7-2.parquet").symlink_to(tmp_path)
    (folder / "7-1.parquet" / "part-1.parquet").symlink_to(tmp_path / "part-1.parquet")
    (folder / "7-3.jsonl").symlink_to(tmp_path / "part-1.parquet")
    shelf = ItemShelf(tmp_path / "items")
    assert dict(shelf.listed("shop")[0].sizes) == {}
    for path in ("7-2.parquet/part-1.parquet", "7-1.parquet/part-1.parquet", "7-3.jsonl"):
        with pytest.raises(NotFound):
            shelf.read("shop", path, 0)


@pytest.mark.parametrize(
    "path",
    ["", "..", "../7-1.jsonl", "/7-1.jsonl", "7-1.jsonl/../x-1.jsonl", "7\0-1.jsonl", ".runs/x"],
)
def test_other_names_are_refused(folder, tmp_path, path):
    with pytest.raises(InvalidArgument, match="path"):
        ItemShelf(tmp_path / "items").read("shop", path, 0)
