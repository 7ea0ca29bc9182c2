"""Deployed projects: their versions, and which of them is the current one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

PROJECT_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
PROJECT_WORDS = "1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit"
DIGEST_WORDS = "the 64 hexadecimal digits of a SHA-256"
BUNDLES = "bundles"
"""The entry in the metadata of a worker that says which bundle of each project it has."""
SHORT = 12
"""As many digits of a digest are shown to people, and are enough to name a bundle."""

_NAME = re.compile(PROJECT_NAME)
_DIGEST = re.compile("[0-9a-f]{64}")


def is_project_name(text: str) -> bool:
    """Return whether a project may have that name."""
    return _NAME.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Return whether a text is the digest of a bundle."""
    return _DIGEST.fullmatch(text) is not None


def told_bundles(ready: Mapping[str, str]) -> Mapping[str, str]:
    """Return the metadata of a worker that has these bundles: digests by project."""
    return {BUNDLES: json.dumps(dict(sorted(ready.items())))} if ready else {}


def bundles_in(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Return which bundle of each project a worker says it has. What is not to be understood, as of
    another program, says nothing."""
    try:
        found = json.loads(metadata.get(BUNDLES, "{}"))
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)}


@dataclass(frozen=True, slots=True)
class Version:
    """One deployment of a project: a bundle, and who brought it."""

    digest: str
    """The SHA-256 of the bytes of the bundle, in hexadecimal."""
    at_ns: int = 0
    """When it was deployed: Unix time in nanoseconds."""
    by: str = ""
    """Who deployed it."""
    bytes: int = 0
    """The size of the bundle."""
    spiders: tuple[str, ...] = ()
    requirements: int = 0
    """How many packages its lock names."""


@dataclass(frozen=True, slots=True)
class Project:
    """A deployed project as etcd stores it."""

    name: str
    current: str = ""
    """The digest of the bundle with which runs begin from now on."""
    versions: tuple[Version, ...] = ()
    """The bundles that are kept, the latest deployed first."""
    labels: Mapping[str, str] = field(default_factory=dict)
    mod_revision: int = 0
    """The store's revision of this value; 0 if it was never stored."""

    @property
    def before(self) -> Version | None:
        """The version that was deployed before the current one; None if none is kept."""
        present = self.version(self.current)
        return None if present is None else self.before_version(present)

    def before_version(self, version: Version) -> Version | None:
        """Return the version that was deployed before one of them; None if none is kept."""
        older = self.versions[self.versions.index(version) + 1 :]
        return older[0] if older else None

    def named(self, digest: str) -> Version | None:
        """Return the version whose digest begins so, with 12 digits or more; None if there is
        none."""
        if len(digest) < SHORT:
            return None
        return next((each for each in self.versions if each.digest.startswith(digest)), None)

    def version(self, digest: str) -> Version | None:
        """Return the version of that bundle; None if it is not kept."""
        return next((each for each in self.versions if each.digest == digest), None)


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project as a client sees it."""

    project: Project
    rolled: int = 0
    """How many runs go on with its current bundle because of the request."""


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file in a bundle."""

    name: str
    """Its name in the bundle. The files of the project are below `code/`."""
    bytes: int


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that two bundles do not have alike."""

    name: str
    before: int | None
    """How many bytes it had; None if it was not there."""
    after: int | None
    """How many bytes it has; None if it is not there any more."""
    diff: str = ""
    """The lines that differ, as a unified diff."""
    note: str = ""
    """Why these are not told; empty if they are."""


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package that two locks do not have alike."""

    name: str
    before: str
    """Its version; empty if it was not there."""
    after: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is different in a bundle from another one."""

    files: tuple[FileChange, ...]
    """The first of them, by name."""
    changed: int
    """How many files differ in all."""
    packages: tuple[PackageChange, ...] = ()
    before: str = ""
    """The digest of the other bundle."""
    after: str = ""
    """The digest of the bundle."""


@dataclass(frozen=True, slots=True)
class BundleFiles:
    """What is in a bundle."""

    digest: str
    files: tuple[BundleFile, ...]
    """The first of them, by name."""
    total: int
    """How many there are in all."""


def absent(name: str) -> str:
    """Return that there is no such project."""
    return f"no project {name!r}; `crawler projects` shows those that there are"
