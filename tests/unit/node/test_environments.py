"""Environments of bundles: made once for each lock, apart from the worker's own packages."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest

from crawler.clock import SystemClock
from crawler.deploy import bundle
from crawler.deploy.manifest import Manifest
from crawler.errors import InvalidArgument, Unavailable
from crawler.node.crew.program import Unusable
from crawler.node.worker import environments
from crawler.node.worker.environments import PYTHON, Environments

WORD = "greeting_of_a_test"
BACKEND = """
import json, os, pathlib

def build_wheel(folder, *_):
    pathlib.Path({seen!r}).write_text(json.dumps(dict(os.environ)))
    pathlib.Path(folder, {name!r}).write_bytes({wheel!r})
    return {name!r}
"""


def wheel(folder, version):
    """A wheel of one module, and the line of a lock that names it."""
    name = f"{WORD}-{version}"
    files = {
        f"{WORD}.py": f"VERSION = {version!r}\n",
        f"{name}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {WORD}\nVersion: {version}\n",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    records = [f"{path},{_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{name}.dist-info/RECORD"] = "\n".join([*records, f"{name}.dist-info/RECORD,,"]) + "\n"
    path = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            archive.writestr(inner, text)
    return f"{WORD}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def source_of(folder, version, seen):
    """A source distribution that notes the environment of its build, and the line of a lock."""
    inner = wheel(folder, version)
    made = folder / f"{WORD}-{version}-py3-none-any.whl"
    backend = BACKEND.format(seen=str(seen), wheel=made.read_bytes(), name=made.name)
    made.unlink()
    files = {
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'made'\n"
        "backend-path = ['.']\n",
        "made.py": backend,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {WORD}\nVersion: {version}\n",
    }
    path = folder / f"{WORD}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{WORD}-{version}/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    name = inner.partition(" ")[0]
    return f"{name} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def _digest(text):
    found = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
    return f"sha256={found.decode()}"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The only place where uv finds packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(folder),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def ours(tmp_path):
    return Environments(tmp_path / "bundles", 1, SystemClock())


def bundled(tmp_path, lock="", python=PYTHON, code="a = 1\n"):
    """The digest and the file of a bundle."""
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    (folder / "shop.py").write_text(code)
    manifest = Manifest("shop", ["books"], ["shop.py"], python)
    made = bundle.make(folder, manifest, lock, tmp_path / "made.zip")
    return made.digest, made.path


def ready(ours, digest, file):
    return ours.program(digest, ours.find(digest) or ours.unpack(digest, file))


def said(program, code):
    done = subprocess.run(
        [program.python, "-P", "-c", code],
        env={"PYTHONPATH": os.pathsep.join([program.folder, *(program.path or sys.path)])},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_bundle_without_requirements_has_the_interpreter_and_the_packages_of_the_worker(
    tmp_path, ours
):
    program = ready(ours, *bundled(tmp_path, code="a = 'of the bundle'\n"))
    assert program.python == sys.executable
    told = said(program, "import json, shop, gevent; print(json.dumps([shop.a, shop.__file__]))")
    assert told == ["of the bundle", f"{program.folder}/shop.py"]
    assert program.folder not in program.path, "its modules hide none while the crawler begins"


def test_each_lock_has_its_own_packages_and_none_of_the_worker(tmp_path, ours, index):
    ask = f"""
import importlib.util, json
import crawler, {WORD}
print(json.dumps([{WORD}.VERSION, importlib.util.find_spec("gevent") is not None]))
"""
    programs = {}
    for version in ("1.0", "2.0"):
        programs[version] = ready(ours, *bundled(tmp_path, wheel(index, version)))
        assert said(programs[version], ask) == [version, False]
    assert said(programs["1.0"], ask) == ["1.0", False]
    assert programs["1.0"].python != programs["2.0"].python


def test_what_spider_code_changes_in_a_package_stays_in_its_environment(tmp_path, ours, index):
    lock = wheel(index, "1.0")
    first = ready(ours, *bundled(tmp_path, lock))
    said(first, f"import {WORD}, json; open({WORD}.__file__, 'a').write('VERSION = 0'); print(1)")
    second = ready(Environments(tmp_path / "others", 1, SystemClock()), *bundled(tmp_path, lock))
    assert said(second, f"import {WORD}, json; print(json.dumps({WORD}.VERSION))") == "1.0"


def test_an_environment_that_was_not_finished_is_made_anew_and_a_whole_one_is_kept(
    tmp_path, ours, index, monkeypatch
):
    digest, file = bundled(tmp_path, wheel(index, "1.0"))
    builds = []
    usual = environments.build

    def cut_off(lock, folder, *_):
        builds.append(lock)
        (folder / "venv").mkdir()
        raise Unavailable("cut off")

    monkeypatch.setattr(environments, "build", cut_off)
    with pytest.raises(Unavailable, match="cut off"):
        ready(ours, digest, file)
    monkeypatch.setattr(environments, "build", lambda *given: builds.append(usual(*given)))
    for _ in range(3):
        program = ready(ours, digest, file)
    assert len(builds) == 2
    assert said(program, f"import {WORD}, json; print(json.dumps({WORD}.VERSION))") == "1.0"


def test_requirements_that_cannot_be_installed_are_told_in_the_words_of_uv(tmp_path, ours, index):
    digest, file = bundled(tmp_path, f"{WORD}==3.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(
        InvalidArgument, match=rf"requirements: uv refuses them:(?s:.*){WORD.replace('_', '-')}"
    ):
        ready(ours, digest, file)


def test_what_builds_a_package_sees_nothing_that_opens_the_cluster(tmp_path, index, monkeypatch):
    seen = tmp_path / "seen.json"
    monkeypatch.setenv("CRAWLER_ETCD_PASSWORD", "open sesame")
    monkeypatch.setenv("MY_PASSWORD", "open sesame")
    monkeypatch.setenv("OF_THE_BUILD", "wanted")
    lock = source_of(index, "1.0", seen)
    ours = Environments(tmp_path / "bundles", 1, SystemClock(), ["open sesame"])
    program = ready(ours, *bundled(tmp_path, lock))
    assert said(program, f"import {WORD}, json; print(json.dumps({WORD}.VERSION))") == "1.0"
    told = json.loads(seen.read_text())
    assert told["OF_THE_BUILD"] == "wanted"
    assert "open sesame" not in told.values()

    others = Environments(tmp_path / "others", 1, SystemClock(), only_wheels=True)
    with pytest.raises(InvalidArgument, match="uv refuses them"):
        ready(others, *bundled(tmp_path, lock))


def test_a_uv_whose_worker_was_killed_keeps_others_from_its_environment(
    tmp_path, ours, monkeypatch
):
    program, seen = tmp_path / "uv", tmp_path / "seen"
    program.write_text(f"#!/bin/sh\nls -l /proc/$$/fd > {seen}\n")
    program.chmod(0o755)
    monkeypatch.setattr("crawler.deploy.requirements.uv", lambda: str(program))
    ready(ours, *bundled(tmp_path, "a==1\n"))
    (lock,) = (tmp_path / "bundles" / "environments").glob("*.lock")
    assert f"-> {lock}\n" in seen.read_text()


def test_a_lock_for_another_python_is_refused(tmp_path, ours, index):
    digest, file = bundled(tmp_path, wheel(index, "1.0"), python="3.9")
    with pytest.raises(Unusable, match=rf"Python 3\.9, and this worker has {PYTHON}"):
        ready(ours, digest, file)


def test_what_was_cut_off_is_removed_once_nobody_can_work_on_it_any_more(tmp_path, ours):
    digest, file = bundled(tmp_path)
    ready(ours, digest, file)
    folder = tmp_path / "bundles" / "unpacked"
    (folder / ".unpacking-1" / "bundle").mkdir(parents=True)
    (folder / ".begun-1").write_text("the half of a bundle")
    ours.sweep({digest})
    assert len(list(folder.glob(".*"))) == 2, "somebody may work on them"
    past_s = time.time() - environments.SPARED_S - 1
    for path in folder.glob(".*"):
        os.utime(path, (past_s, past_s))
    ours.sweep({digest})
    assert list(folder.glob(".*")) == []
    assert ours.find(digest) is not None


def test_a_bundle_whose_removal_is_cut_off_counts_for_nothing(tmp_path, ours, monkeypatch):
    digest, file = bundled(tmp_path)
    folder = ready(ours, digest, file).folder
    past_s = time.time() - environments.SPARED_S - 1
    os.utime(os.path.dirname(folder), (past_s, past_s))
    monkeypatch.setattr(environments.shutil, "rmtree", lambda *_, **__: None)
    ours.sweep(set())
    assert ours.find(digest) is None


def test_only_what_nobody_needs_for_long_is_removed(tmp_path, ours, index):
    lock = wheel(index, "1.0")
    kept, file = bundled(tmp_path, lock, code="a = 'kept'\n")
    ready(ours, kept, file)
    old, file = bundled(tmp_path, wheel(index, "2.0"), code="a = 'old'\n")
    program = ready(ours, old, file)
    ours.sweep({kept})
    assert ours.find(old) is not None, "somebody needed it just now"
    past_s = time.time() - environments.SPARED_S - 1
    for path in (*(tmp_path / "bundles").glob("*/*"),):
        os.utime(path, (past_s, past_s))
    ours.sweep({kept})
    assert ours.find(kept) is not None
    assert ours.find(old) is None
    for path in (tmp_path / "bundles" / "environments").iterdir():
        os.utime(path, (past_s, past_s))
    ours.sweep({kept})
    assert not os.path.exists(program.python)
    assert os.path.exists(ready(ours, kept, file).python)
