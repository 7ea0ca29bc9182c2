"""A bundle: the same files make the same digest, and nothing in one is trusted."""

import io
import os
import stat
import zipfile
from dataclasses import replace

import pytest

from crawler.deploy import bundle, folder
from crawler.deploy.manifest import Manifest, decode, encode
from crawler.errors import InvalidArgument

MANIFEST = Manifest("shop", ["books"], ["shop.py"], "3.11", ["six==1.17.0"], {"delay_s": 1})
WRITTEN = ("frontier/a.db", "bundles/a.zip", "logs/a/1.log", "history.db", "history.db-wal")
"""What nodes write into the folder in which they run, which may be that of a project."""


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    for name in ("shop.py", "lib/prices.py", "lib/data/rates.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n")
    return root


def made(project, tmp_path, name="a.zip", lock="six==1.17.0 \\\n    --hash=sha256:1\n", **more):
    return bundle.make(project, MANIFEST, lock, tmp_path / name, **more)


def names_in(path):
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_a_bundle_comes_back_as_it_was(project, tmp_path):
    found = made(project, tmp_path)
    assert bundle.read_manifest(found.path) == MANIFEST
    assert bundle.requirements_in(found.path) == 1
    to = tmp_path / "there"
    assert bundle.unpack(found.path, to) == MANIFEST
    assert (to / "code/lib/prices.py").read_text() == "# lib/prices.py\n"
    assert (to / "requirements.lock").read_text().startswith("six==1.17.0")
    assert found.bytes == found.path.stat().st_size


def test_the_same_files_make_the_same_digest_whenever_and_however_they_lie_there(project, tmp_path):
    first = made(project, tmp_path)
    for path in sorted(project.rglob("*"), reverse=True):
        os.utime(path, (10**9, 10**9))
        path.chmod(0o755)
    assert made(project, tmp_path, "b.zip").digest == first.digest
    (project / "shop.py").write_text("# another\n")
    assert made(project, tmp_path, "c.zip").digest != first.digest


def test_what_is_no_code_stays_out(project, tmp_path):
    for name in (
        "__pycache__/a.pyc",
        ".git/config",
        ".venv/x.py",
        "items/shop/1.jsonl",
        "b.pyc",
        *WRITTEN,
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("x")
    (project / ".env").write_text("PASSWORD=open-sesame")
    assert names_in(made(project, tmp_path, lock="").path) == [
        *("code/lib/data/rates.csv", "code/lib/prices.py", "code/shop.py", "bundle.json"),
    ]


def test_a_link_may_lead_to_a_file_of_the_project_alone(project, tmp_path):
    (project / "same.py").symlink_to(project / "shop.py")
    assert "code/same.py" in names_in(made(project, tmp_path).path)
    for target in ("/etc/passwd", tmp_path, project / "lib"):
        link = project / "out"
        link.symlink_to(target)
        with pytest.raises(InvalidArgument, match=r"is a link to .*; allowed are links to"):
            made(project, tmp_path)
        link.unlink()


def test_too_many_files_and_too_many_bytes_are_refused(project, tmp_path, monkeypatch):
    (project / "noise.bin").write_bytes(os.urandom(1_100_000))
    with pytest.raises(InvalidArgument, match=r"has 1\.1 MB; allowed are up to 1 \(deploy.max_mb"):
        made(project, tmp_path, most_mb=1)
    monkeypatch.setattr(folder, "MOST_FILES", 2)
    with pytest.raises(InvalidArgument, match="has 4 files; allowed are up to 2"):
        made(project, tmp_path)


def forged(tmp_path, *members, manifest=MANIFEST):
    """A bundle that somebody made by hand."""
    path = tmp_path / "forged.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bundle.json", encode(manifest))
        for member, content in members:
            archive.writestr(member, content)
    return path


@pytest.mark.parametrize(
    "name",
    ["/etc/cron", "code/../../x", "../x", "code\\..\\x", "C:/x", "other/x", "code/", "bundle.json"],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    path = forged(tmp_path, (name, b"x"))
    for read in (bundle.read_manifest, lambda path: bundle.unpack(path, tmp_path / "there")):
        with pytest.raises(InvalidArgument, match="the bundle has "):
            read(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["forged.zip"]


def test_a_link_in_a_bundle_is_refused(tmp_path):
    link = zipfile.ZipInfo("code/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InvalidArgument, match="the bundle has 'code/link'"):
        bundle.unpack(forged(tmp_path, (link, b"/etc/passwd")), tmp_path / "there")


def test_what_grows_too_large_is_refused_whatever_size_it_tells(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.json", encode(MANIFEST))
        archive.writestr("code/zeros", bytes(11_000_000))
    with pytest.raises(InvalidArgument, match="unpacked the bundle has 11 MB; allowed are 10"):
        bundle.read_manifest(path, most_mb=1)
    monkeypatch.setattr(bundle, "_check", lambda archive, most_mb: None)
    with pytest.raises(InvalidArgument, match="is larger than it says"):
        bundle.unpack(path, tmp_path / "there", most_mb=1)
    assert [each.name for each in tmp_path.iterdir()] == ["bomb.zip"]


def test_a_lock_that_no_master_could_read_into_its_memory_is_refused(tmp_path):
    path = forged(tmp_path, ("requirements.lock", bytes(16_000_001)))
    with pytest.raises(InvalidArgument, match=r"requirements\.lock has 16000001 bytes or more"):
        bundle.read_manifest(path)


def test_what_is_no_zip_or_was_cut_off_is_refused_in_words(project, tmp_path):
    whole = made(project, tmp_path).path.read_bytes()
    for raw in (b"", b"PK", whole[:-30], b"<html>"):
        path = tmp_path / "bad.zip"
        path.write_bytes(raw)
        with pytest.raises(InvalidArgument, match="is no sound ZIP file"):
            bundle.read_manifest(path)


def test_a_file_that_was_damaged_on_the_way_unpacks_to_nothing(tmp_path):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("bundle.json", encode(MANIFEST))
        archive.writestr("code/a.py", b"print(1)" * 100)
    path = tmp_path / "bad.zip"
    path.write_bytes(raw.getvalue().replace(b"print(1)", b"print(2)", 1))
    with pytest.raises(InvalidArgument, match="is no sound ZIP file"):
        bundle.unpack(path, tmp_path / "there")
    assert [each.name for each in tmp_path.iterdir()] == ["bad.zip"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "version: 2 is not known; allowed is 1"),
        ({"project": "../x"}, "project: '../x' is not allowed; allowed: 1 to 64 letters"),
        ({"spiders": []}, "spiders: list is not allowed; allowed: a list of one name or more"),
        ({"sources": "a.py"}, "sources: 'a.py' is not allowed"),
        ({"python": ""}, "python: '' is not allowed"),
        ({"requirements": [1]}, "requirements: list is not allowed"),
        ({"settings": []}, "settings: list is not allowed"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused_with_its_field(change, told):
    with pytest.raises(InvalidArgument) as error:
        decode(encode(replace(MANIFEST, **change)))
    assert told in str(error.value)
