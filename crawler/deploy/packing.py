"""Makes the bundle of a project: finds its spiders, resolves its requirements, and packs it.

What would fail at a worker fails here, before anything is deployed.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from crawler.deploy import bundle, checking, requirements
from crawler.deploy.bundle import Bundle
from crawler.deploy.manifest import Manifest
from crawler.errors import InvalidArgument
from crawler.plural import counted

Tell = Callable[[str], None]


@contextmanager
def packed(source: Path, project: str, tell: Tell) -> Iterator[Bundle]:
    """A bundle of a folder or of a wheel, in a file that is gone at the end. `tell` is told of what
    takes a while. Raises InvalidArgument, and Unavailable if uv is missing or too slow."""
    with (
        tempfile.TemporaryDirectory(prefix="crawler-deploy-") as temporary,
        _folder_of(source) as folder,
    ):
        try:
            made = _made(folder, project, Path(temporary), tell)
        except OSError as error:
            why = error.strerror or str(error)
            raise InvalidArgument(f"{error.filename or folder}: cannot be packed: {why}") from None
        yield made


def _made(folder: Path, project: str, temporary: Path, tell: Tell) -> Bundle:
    asked = requirements.requirements_of(folder)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    lock, interpreter = "", sys.executable
    if asked:
        tell(f"resolving {counted(len(asked), 'requirement')} together with the crawler's own")
        lock = requirements.lock_of(asked, python)
        tell("installing them, to see whether the spiders can be loaded")
        interpreter = str(requirements.build(lock, temporary))
    found = checking.loaded(folder, interpreter)
    manifest = Manifest(
        project,
        found.spiders,
        found.sources,
        python,
        asked,
        found.settings,
        described=found.described,
    )
    to = temporary / "bundle.zip"
    return bundle.make(folder, manifest, lock, to, bundle.LARGEST_MB)  # a master may allow less


@contextmanager
def _folder_of(source: Path) -> Iterator[Path]:
    """The folder of a project; that of a wheel is a temporary one. Raises InvalidArgument."""
    if source.is_dir():
        yield source
    elif source.suffix == ".whl" and source.is_file():
        with tempfile.TemporaryDirectory(prefix="crawler-wheel-") as folder:
            _unpack_wheel(source, Path(folder))
            yield Path(folder)
    else:
        raise InvalidArgument(f"{source}: is no folder and no wheel; give one of them")


def _unpack_wheel(wheel: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)  # it drops what would lead out of the folder
    except zipfile.BadZipFile as error:
        raise InvalidArgument(f"{wheel}: is no sound wheel: {error}; build it again") from None
