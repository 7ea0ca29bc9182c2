"""A bundle: one ZIP file with the code of a project, named by the digest of its bytes.

The same files make the same bytes, so a project that has not changed has the same digest. Whoever
unpacks a bundle trusts nothing of it: neither its names nor the sizes that it tells.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from crawler.deploy import manifest as manifests
from crawler.deploy.folder import MOST_FILES, files_of
from crawler.deploy.manifest import Manifest
from crawler.errors import InvalidArgument, shown

CODE = "code/"
"""The files of the project are below this name."""
MANIFEST = "bundle.json"
LOCK = "requirements.lock"
"""The requirements with versions and hashes, as uv resolved them. Absent if there are none."""

MB = 1_000_000
MOST_MB = 64
"""The largest bundle, in megabytes, if nobody says otherwise."""
LARGEST_MB = 4096
"""The largest that any master may allow."""
UNPACKED = 10
"""As many times larger a bundle may be unpacked."""

_SMALL = {MANIFEST: MB, LOCK: 16 * MB}
"""How large these files may be, in bytes. A lock of a thousand packages has a few megabytes."""
_DATE = (1980, 1, 1, 0, 0, 0)
"""The time of each file in a bundle: the earliest that ZIP knows."""
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle that was made."""

    path: Path
    digest: str
    bytes: int
    manifest: Manifest


def make(folder: Path, manifest: Manifest, lock: str, to: Path, most_mb: int = MOST_MB) -> Bundle:
    """Write a bundle of a folder to a file. `lock` is the text of `requirements.lock`, empty if
    there are no requirements. Raises InvalidArgument if it is too large."""
    added: Mapping[str, bytes] = {
        MANIFEST: manifests.encode(manifest),
        **({LOCK: lock.encode()} if lock else {}),
    }
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, path in files_of(folder):
            _add(archive, CODE + name, path.read_bytes())
        for name, content in sorted(added.items()):
            _add(archive, name, content)
    size = to.stat().st_size
    check_size(size, most_mb)
    read_manifest(to, most_mb)  # it says now what a master would
    return Bundle(to, digest_of(to), size, manifest)


def check_size(size: int, most_mb: int) -> None:
    """Raises InvalidArgument if a bundle of so many bytes is too large."""
    if size > most_mb * MB:
        raise InvalidArgument(
            f"the bundle has {size / MB:.1f} MB; allowed are up to {most_mb} (deploy.max_mb); keep "
            "items and other data outside of the folder of the project"
        )


def digest_of(path: Path) -> str:
    """Return the digest of a file: its SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(path: Path, most_mb: int = MOST_MB) -> Manifest:
    """Return what a bundle says of itself, after a check of everything in it. Raises
    InvalidArgument."""
    with opened(path) as archive:
        _check(archive, most_mb)
        return manifests.decode(_small(archive, MANIFEST))


def unpacked_manifest(folder: Path) -> Manifest:
    """Return what a bundle says of itself that is unpacked in a folder. Raises InvalidArgument."""
    return manifests.decode((folder / MANIFEST).read_bytes())


def requirements_in(path: Path) -> int:
    """Return how many packages the lock of a bundle names."""
    return len(_locked(path))


def lock_in(path: Path) -> Mapping[str, str]:
    """Return the packages that the lock of a bundle names, each with its version."""
    named = (line.split(";")[0].split()[0].partition("==") for line in _locked(path))
    return {name: version for name, _, version in named}


def _locked(path: Path) -> Sequence[str]:
    """Return the lines of a lock that name a package."""
    with opened(path) as archive:
        if LOCK not in archive.namelist():
            return []
        lines = _small(archive, LOCK).decode(errors="replace").splitlines()
    return [line for line in lines if "==" in line and not line[:1].isspace()]


def unpack(path: Path, folder: Path, most_mb: int = MOST_MB) -> Manifest:
    """Unpack a bundle into a folder that is not there yet: all of it, or nothing. Return what it
    says of itself. Raises InvalidArgument, and OSError if the disk takes no more."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpacking-") as temporary:
        inner = Path(temporary) / "bundle"
        with opened(path) as archive:
            _check(archive, most_mb)
            manifest = manifests.decode(_small(archive, MANIFEST))
            left = UNPACKED * most_mb * MB
            for member in archive.infolist():
                left = _unpack(archive, member, inner, left)
        os.replace(inner, folder)
    return manifest


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, wherever it is made
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    archive.writestr(entry, content)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """A bundle that is read. Raises InvalidArgument if it is no sound ZIP file."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError) as error:
        raise InvalidArgument(
            f"the bundle is no sound ZIP file: {error}; deploy it again"
        ) from None


def _check(archive: zipfile.ZipFile, most_mb: int) -> None:
    """Check the names and sizes in a bundle. Raises InvalidArgument."""
    members = archive.infolist()
    if len(members) > MOST_FILES + 2:
        raise InvalidArgument(f"the bundle has {len(members)} files; allowed are {MOST_FILES}")
    seen: set[str] = set()
    for member in members:
        _check_name(member)
        if member.filename in seen:
            raise InvalidArgument(f"the bundle has {shown(member.filename)} twice")
        _check_small(member.filename, member.file_size)
        seen.add(member.filename)
    if MANIFEST not in seen:
        raise InvalidArgument(f"the bundle has no {MANIFEST}; make it with crawler deploy")
    unpacked = sum(member.file_size for member in members)
    if unpacked > UNPACKED * most_mb * MB:
        raise InvalidArgument(
            f"unpacked the bundle has {unpacked / MB:.0f} MB; allowed are {UNPACKED * most_mb}"
        )


def _check_small(name: str, size: int) -> None:
    if size > _SMALL.get(name, size):
        raise InvalidArgument(f"{name} has {size} bytes or more; allowed are {_SMALL[name]}")


def _check_name(member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = PurePosixPath(name).parts
    is_below = bool(parts) and not name.startswith("/") and ".." not in parts
    is_plain = "\\" not in name and ":" not in name and "\0" not in name
    kind = stat.S_IFMT(member.external_attr >> 16)
    is_file = kind in (0, stat.S_IFREG) and not name.endswith("/")
    is_known = name.startswith(CODE) or name in (MANIFEST, LOCK)
    if not (is_below and is_plain and is_file and is_known):
        raise InvalidArgument(
            f"the bundle has {shown(name)}; allowed are files below {CODE}, {MANIFEST} and {LOCK}"
        )


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return what is read into memory as a whole."""
    with archive.open(name) as file:
        content = file.read(_SMALL[name] + 1)
    _check_small(name, len(content))
    return content


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, left: int) -> int:
    """Unpack a file, and return how many bytes may still come."""
    target = folder / member.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise InvalidArgument("the bundle is larger than it says; make it again")
            file.write(chunk)
    return left
