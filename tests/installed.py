"""The program as a user has it: built as a wheel, and installed where no checkout is in reach."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from crawler.local.processes import LocalProcess
from tests.source import ROOT

SDIST = "import setuptools.build_meta as backend; backend.build_sdist('sdist')"
WHEEL = "import setuptools.build_meta as backend; backend.build_wheel('..')"
SOURCES = ("*.py", "*.txt", "*.toml", "*.in", "README.md")
"""The files beside the package of which a distribution is made."""
WITHOUT = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}
"""Variables that would lead the installed program to the checkout."""


def build_wheel(folder):
    """Build the wheel from an archive of sources, as `python -m build` does. Return its path."""
    sources = _copy_of_sources(folder / "sources")
    _do(sys.executable, "-c", SDIST, cwd=sources)
    [archive] = (sources / "sdist").glob("*.tar.gz")
    shutil.unpack_archive(archive, folder / "unpacked", filter="data")
    [unpacked] = (folder / "unpacked").iterdir()
    _do(sys.executable, "-c", WHEEL, cwd=unpacked)
    [wheel] = (folder / "unpacked").glob("*.whl")
    return wheel


PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def _copy_of_sources(folder):
    """A copy of what a distribution is made of: a build leaves files beside its sources."""
    shutil.copytree(
        ROOT / "crawler", folder / "crawler", ignore=shutil.ignore_patterns("__pycache__")
    )
    for pattern in SOURCES:
        for file in ROOT.glob(pattern):
            shutil.copy(file, folder)
    return folder


class Installed:
    """A virtual environment with the wheel. It sees what the tests have installed, and nothing of
    the checkout: the package of the checkout is there through a file that only counts in its own
    environment."""

    def __init__(self, folder, wheel):
        self._folder = folder
        _do(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
        flags = ("--quiet", "--no-deps", "--no-index", "--no-compile")
        _do(*PIP, "--python", self.bin / "python", "install", *flags, wheel, cwd=folder.parent)
        [packages] = folder.glob("lib/python*/site-packages")
        _take_bytecode(packages)
        (packages / "others.pth").write_text(sysconfig.get_path("purelib"))

    @property
    def bin(self):
        """The folder of its commands."""
        return self._folder / "bin"

    def ask(self, code, cwd):
        """What this code of Python prints there."""
        return _do(self.bin / "python", "-c", code, cwd=cwd).strip()

    def start(self, name, *command, cwd, **environment):
        """Start a command of this environment in a folder, as in a shell of its user."""
        shell = ["/usr/bin/env", *(f"--unset={each}" for each in sorted(WITHOUT)), "-C", str(cwd)]
        path = {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        process = LocalProcess(
            name, [*shell, *command], {**path, **environment}, Path(cwd) / f"{name}.log"
        )
        process.start()
        return process


def _take_bytecode(packages):
    """Take what Python has compiled of the same sources in the checkout: each process that begins
    would compile the whole program, and several begin at once."""
    for source in (packages / "crawler").rglob("*.py"):
        ours = ROOT / source.relative_to(packages)
        compiled = Path(importlib.util.cache_from_source(ours))
        if compiled.is_file() and ours.read_bytes() == source.read_bytes():
            shutil.copystat(ours, source)  # by the time of the source Python knows that it fits
            to = Path(importlib.util.cache_from_source(source))
            to.parent.mkdir(exist_ok=True)
            shutil.copy2(compiled, to)


def _do(*command, cwd):
    """The output of a command that succeeds."""
    environment = {key: value for key, value in os.environ.items() if key not in WITHOUT}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
