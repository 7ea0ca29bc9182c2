"""What every place of bundles promises."""

import hashlib
import io
import sqlite3

import pytest

from crawler.deploy.places import BEGUN, Damaged, FolderPlace, write_whole
from crawler.deploy.shared_place import SharedPlace
from crawler.errors import ConfigError, NotFound, Unavailable
from crawler.history import bundles
from crawler.history.bundles import DatabasePlace
from tests.databases import Postgres, started

CONTENT = b"code of a project" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
OTHER = "b" * 64


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "bundle.zip"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(scope="module")
def postgres():
    server = started(Postgres)
    yield server
    server.remove()


@pytest.fixture(params=["folder", "url", "sqlite", "postgresql"])
def place(request, tmp_path):
    folder = tmp_path / "kept" / "bundles"
    if request.param in ("folder", "url"):
        yield FolderPlace(folder) if request.param == "folder" else SharedPlace(f"file://{folder}")
        return
    url = "sqlite:///history.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").url
    place = DatabasePlace(url, str(tmp_path))
    yield place
    for digest in place.digests():
        place.remove(digest)
    place._parts.close()


def test_a_bundle_comes_back_as_it_was_put(place, bundle, tmp_path):
    assert not place.digests()
    place.put(DIGEST, bundle)
    assert set(place.digests()) == {DIGEST}
    place.put(DIGEST, bundle)
    place.fetch(DIGEST, tmp_path / "to" / "a.zip")
    assert (tmp_path / "to" / "a.zip").read_bytes() == CONTENT


def test_a_bundle_that_is_removed_is_gone_and_may_be_removed_again(place, bundle, tmp_path):
    place.put(DIGEST, bundle)
    place.remove(DIGEST)
    place.remove(DIGEST)
    assert not place.digests()
    with pytest.raises(NotFound, match=f"no bundle '{DIGEST[:12]}'"):
        place.fetch(DIGEST, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("digest", [OTHER, "", "../bundle", "a/b"])
def test_what_is_not_there_is_not_found(place, tmp_path, digest):
    with pytest.raises(NotFound, match="no bundle"):
        place.fetch(digest, tmp_path / "a.zip")


def test_a_file_with_another_digest_is_not_taken(place, bundle):
    with pytest.raises(Damaged, match="bundle bbbbbbbbbbbb is damaged"):
        place.put(OTHER, bundle)
    assert not place.digests()


def test_a_put_that_is_cut_off_leaves_nothing_that_counts(place, bundle, monkeypatch):
    """The kernel takes some bytes, and then no more: as at a full disk, or a kill."""

    class CutOff(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise OSError(28, "No space left on device")
            return super().read(100)

    real = type(bundle).open
    monkeypatch.setattr(
        type(bundle),
        "open",
        lambda path, *args, **more: (
            CutOff(CONTENT) if path == bundle else real(path, *args, **more)
        ),
    )
    with pytest.raises(Unavailable):
        place.put(DIGEST, bundle)
    assert not place.digests()
    monkeypatch.undo()
    place.put(DIGEST, bundle)
    assert set(place.digests()) == {DIGEST}


# -- a folder ---


def test_a_bundle_that_was_damaged_in_its_folder_is_never_handed_out(tmp_path, bundle):
    place = FolderPlace(tmp_path / "kept")
    place.put(DIGEST, bundle)
    (kept,) = (tmp_path / "kept").iterdir()
    kept.write_bytes(CONTENT[:-1])
    with pytest.raises(Damaged, match="deploy it again"):
        place.fetch(DIGEST, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
    place.put(DIGEST, bundle)
    place.fetch(DIGEST, tmp_path / "a.zip")


def test_what_a_kill_left_behind_does_not_count_and_is_swept(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / f"{BEGUN}x").write_bytes(CONTENT[:5])
    place = FolderPlace(folder)
    assert not place.digests()
    place.sweep(3600)
    assert list(folder.iterdir()), "another master of this machine may write it now"
    place.sweep(-1)
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_written_is_told(tmp_path, bundle):
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(Unavailable, match="bundles are kept there"):
        FolderPlace(tmp_path / "kept").put(DIGEST, bundle)


def test_a_file_that_is_cut_off_on_the_way_leaves_nothing(tmp_path):
    with pytest.raises(Damaged):
        write_whole(io.BytesIO(CONTENT[:-1]), DIGEST, tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())


# -- a URL ---


def test_what_a_kill_left_behind_at_a_url_does_not_count(tmp_path):
    (tmp_path / f"{BEGUN}x").write_bytes(CONTENT[:5])
    (tmp_path / "notes.zip").write_bytes(b"of others")
    assert not SharedPlace(f"file://{tmp_path}").digests()


def test_a_bundle_that_was_damaged_at_its_url_is_never_handed_out(tmp_path, bundle):
    place = SharedPlace(f"file://{tmp_path}/kept")
    place.put(DIGEST, bundle)
    (tmp_path / "kept" / f"{DIGEST}.zip").write_bytes(CONTENT[:-1])
    with pytest.raises(Damaged, match="deploy it again"):
        place.fetch(DIGEST, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
    place.put(DIGEST, bundle)
    place.fetch(DIGEST, tmp_path / "a.zip")


@pytest.mark.parametrize("url", ["nothing://here/x", "no url", "file:///dev/null/x"])
def test_a_url_that_cannot_be_used_is_told_with_its_setting(bundle, url):
    with pytest.raises(Unavailable, match=r"bundles are kept there \(deploy\.url\)"):
        SharedPlace(url).put(DIGEST, bundle)


def test_without_pyarrow_a_url_is_a_fault_of_the_settings(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"deploy\.url: needs pyarrow"):
        SharedPlace("file:///x")


# -- a database ---


def test_a_large_bundle_is_many_rows_and_a_damaged_one_is_never_handed_out(
    tmp_path, bundle, monkeypatch
):
    monkeypatch.setattr(bundles, "PART", 1000)
    place = DatabasePlace("sqlite:///history.db", str(tmp_path))
    place.put(DIGEST, bundle)
    place.fetch(DIGEST, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    with sqlite3.connect(tmp_path / "history.db") as connection:
        (count,) = connection.execute("SELECT count(*) FROM bundle_parts").fetchone()
        connection.execute("DELETE FROM bundle_parts WHERE part = 3")
    connection.close()
    assert count == len(CONTENT) // 1000
    with pytest.raises(Damaged):
        place.fetch(DIGEST, tmp_path / "b.zip")
    place._parts.close()


def test_a_database_that_is_away_or_not_there_is_told(tmp_path, bundle):
    (tmp_path / "history.db").write_bytes(b"no database" * 500)
    with pytest.raises(Unavailable, match="file is not a database"):
        DatabasePlace("sqlite:///history.db", str(tmp_path)).put(DIGEST, bundle)
    with pytest.raises(ConfigError, match="'history' is not allowed without a history"):
        DatabasePlace("", str(tmp_path))
