"""What is told of bundles: their files, and how two differ."""

import zipfile

import pytest

from crawler.deploy import bundle
from crawler.deploy.contents import (
    MOST_DIFF,
    MOST_TEXT,
    MOST_TOLD,
    NO_TEXT,
    TOO_LARGE,
    TOO_MUCH,
    compared,
    files_in,
)
from crawler.deploy.manifest import Manifest
from crawler.errors import InvalidArgument
from crawler.model.projects import BundleFile, FileChange, PackageChange


@pytest.fixture
def make(tmp_path):
    """Makes a bundle of files, and of a lock."""
    made = []

    def make(files, lock="", settings=None):
        folder = tmp_path / f"project-{len(made)}"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        manifest = Manifest("shop", ["books"], ["shop.py"], "3.11", settings=settings or {})
        path = tmp_path / f"{len(made)}.zip"
        made.append(path)
        return bundle.make(folder, manifest, lock, path).path

    return make


def test_the_files_of_a_bundle_are_told_with_their_sizes(make):
    told = files_in(make({"shop.py": "a = 1\n", "data/names.txt": "x"}))
    assert told[1:] == (BundleFile("code/data/names.txt", 1), BundleFile("code/shop.py", 6))
    assert told[0].name == "bundle.json"


def test_equal_bundles_differ_in_nothing(make):
    files = {"shop.py": "a = 1\n"}
    told = compared(make(files), make(files))
    assert (told.files, told.changed, told.packages) == ((), 0, ())


def test_new_gone_and_changed_files_are_told_with_their_lines(make):
    before = make({"shop.py": "a = 1\nb = 2\n", "old.py": "gone\n", "same.py": "same\n"})
    after = make({"shop.py": "a = 1\nb = 3\n", "new.py": "no end", "same.py": "same\n"})
    told = compared(before, after)
    assert told.changed == 3
    assert told.files == (
        FileChange(
            "code/new.py",
            None,
            6,
            "--- before/code/new.py\n+++ after/code/new.py\n@@ -0,0 +1 @@\n+no end\n"
            "\\ No newline at end of file\n",
        ),
        FileChange(
            "code/old.py",
            5,
            None,
            "--- before/code/old.py\n+++ after/code/old.py\n@@ -1 +0,0 @@\n-gone\n",
        ),
        FileChange(
            "code/shop.py",
            12,
            12,
            "--- before/code/shop.py\n+++ after/code/shop.py\n"
            "@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n+b = 3\n",
        ),
    )


def test_other_settings_are_told(make):
    files = {"shop.py": ""}
    [told] = compared(make(files), make(files, settings={"delay_s": 2.0})).files
    assert told.name == "bundle.json"
    assert '+  "delay_s": 2.0' in told.diff


def test_what_has_no_lines_is_told_without_them(make):
    before = make({"a.bin": b"\xff\xfe", "b.bin": b"a\0b", "c.txt": "x" * (MOST_TEXT + 1)})
    after = make({"a.bin": b"\xff\xff", "b.bin": b"a\0c", "c.txt": "y" * (MOST_TEXT + 1)})
    assert [(each.diff, each.note) for each in compared(before, after).files] == [
        ("", NO_TEXT),
        ("", NO_TEXT),
        ("", TOO_LARGE),
    ]


def test_many_lines_are_too_many(make):
    told = compared(make({"a.txt": ""}), make({"a.txt": "\n" * 3_000})).files
    assert [each.note for each in told] == [TOO_LARGE]


def test_all_differences_together_are_bounded(make):
    files = {f"{number}.txt": f"{'ä' * 30_000}\n" for number in range(9)}
    told = compared(make({"shop.py": ""}), make({"shop.py": "", **files})).files
    assert sum(len(each.diff.encode()) for each in told) <= MOST_DIFF
    assert [bool(each.diff) for each in told] == [True] * 3 + [False] * 6
    assert {each.note for each in told if not each.diff} == {TOO_MUCH}


def test_many_files_are_counted_and_the_first_are_told(make):
    files = {f"{number}.txt": "" for number in range(MOST_TOLD + 5)}
    told = compared(make({"shop.py": ""}), make({"shop.py": "", **files}))
    assert (len(told.files), told.changed) == (MOST_TOLD, MOST_TOLD + 5)


def test_the_packages_of_the_locks_are_compared(make):
    before = "a==1.0 \\\n    --hash=sha256:1\nb==2.0\ngone==1; python_version > '3'\n"
    after = "a==1.1 \\\n    --hash=sha256:2\nb==2.0\nnew==0.1\n"
    files = {"shop.py": ""}
    told = compared(make(files, before), make(files, after))
    assert told.files == ()
    assert told.packages == (
        PackageChange("a", "1.0", "1.1"),
        PackageChange("gone", "1", ""),
        PackageChange("new", "", "0.1"),
    )


def test_what_is_no_bundle_is_refused(make, tmp_path):
    (tmp_path / "none.zip").write_bytes(b"none")
    with pytest.raises(InvalidArgument, match="no sound ZIP file"):
        compared(make({"shop.py": ""}), tmp_path / "none.zip")


def test_equal_checksums_of_a_file_do_not_hide_a_change(make, monkeypatch):
    before, after = make({"shop.py": "a = 1\n"}), make({"shop.py": "a = 2\n"})
    monkeypatch.setattr(zipfile.ZipExtFile, "_update_crc", lambda *_: None)
    forged = zipfile.ZipFile.infolist

    def alike(self):
        found = forged(self)
        for member in found:
            member.CRC = 7
        return found

    monkeypatch.setattr(zipfile.ZipFile, "infolist", alike)
    assert [each.name for each in compared(before, after).files] == ["code/shop.py"]
