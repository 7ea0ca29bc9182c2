"""The bundles of a master: it takes them from clients, gives them to workers and to other masters,
keeps those that projects name, and removes the others.

Each master keeps all of them, so that any can go; all share one place besides if the settings name
one. Whatever waits for a disk runs in a native
thread.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import gevent

from crawler.api.backend import Call
from crawler.api.rpc.peers import Peers
from crawler.coordination.projects import Projects
from crawler.deploy import bundle, contents
from crawler.deploy.places import BEGUN, BundlePlace, FolderPlace
from crawler.deploy.shared_place import SharedPlace
from crawler.errors import CrawlerError, InvalidArgument, NotFound, Unavailable
from crawler.history.bundles import DatabasePlace
from crawler.history.threads import in_thread
from crawler.logs import get_logger
from crawler.model.projects import SHORT, BundleFiles, Comparison, Version, is_digest
from crawler.settings.deploy import HISTORY, DeploySettings
from crawler.settings.sections import Settings

log = get_logger(__name__)

SPARED_S = 86_400.0
"""For how long a bundle stays that no project names any more: it may be on its way to be recorded,
or a record cannot be read at present. The time of its file says when one named it last."""
BEGUN_S = 3600.0
"""After so long nobody writes any more what was begun."""
TURN_S = 60.0
"""How often a master looks for bundles that it lacks, or that nobody needs."""
FETCH_S = 300.0
"""How many seconds another master has to give a bundle."""

AT_ONCE = 1_000_000
"""How many bytes are read or written at once. Clients take messages that large, servers may not."""

T = TypeVar("T")


class MasterBundles:
    """Keeps the bundles of a master in a folder."""

    def __init__(
        self,
        settings: DeploySettings,
        folder: Path,
        projects: Projects,
        others: Callable[[], Sequence[str]],
        peers: Peers,
        shared: BundlePlace | None = None,
    ) -> None:
        """`others` returns the addresses of the other masters. `shared` is a place that all
        masters share."""
        self._most_mb = settings.max_mb
        self._folder = folder
        self._place = FolderPlace(folder)
        self._shared = shared
        self._projects = projects
        self._others = others
        self._peers = peers

    def take(self, project: str, chunks: Iterable[bytes], by: str) -> Version:
        """Receive a bundle, check it, and keep it."""
        with self._begun() as (path, file):
            _write(self._bounded(chunks), file)
            return _in_thread(self._checked, project, path, by)

    def _bounded(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the chunks. Raises InvalidArgument if they are too many."""
        left = self._most_mb * bundle.MB
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                raise InvalidArgument(
                    f"the bundle has more than {self._most_mb} MB (deploy.max_mb of this master); "
                    "keep items and other data outside of the folder of the project"
                )
            yield chunk

    def give(self, digest: str, call: Call) -> Iterator[bytes]:
        """Return the bytes of a bundle."""
        path = self._here(digest, asks_others=not call.forwarded)
        return _read(_in_thread(lambda: path.open("rb")))

    def files(self, digest: str) -> BundleFiles:
        """Return what is in a bundle."""
        found = _in_thread(contents.files_in, self._here(digest))
        return BundleFiles(digest, found[: contents.MOST_TOLD], len(found))

    def compare(self, before: str, after: str) -> Comparison:
        """Return how two bundles differ."""
        found = _in_thread(contents.compared, self._here(before), self._here(after))
        return replace(found, before=before, after=after)

    def _here(self, digest: str, asks_others: bool = True) -> Path:
        """Return the file of a bundle, which others may have to give first. Raises NotFound,
        Unavailable."""
        if not is_digest(digest):
            raise NotFound(f"no bundle {digest[:SHORT]!r}")
        path = self._path(digest)
        if not _in_thread(path.exists):
            if not asks_others:
                raise NotFound(f"this master has no bundle {digest[:SHORT]!r}")
            self._fetch(digest)
        return path

    def keep_forever(self) -> None:
        """Fetch what projects name, and remove what none does, until the greenlet ends."""
        while True:
            _in_thread(self._place.sweep, BEGUN_S)
            try:
                self._keep()
            except CrawlerError as error:
                log.warning("the bundles of projects could not be kept", error=str(error))
            gevent.sleep(TURN_S)

    def _keep(self) -> None:
        self._projects.mirror.listed.wait()
        named = {v.digest for each in self._projects.all() for v in each.versions}
        kept = set(_in_thread(self._place.digests))
        for digest in sorted(named - kept):
            with suppress(NotFound):
                self._fetch(digest)
        if self._shared is not None:
            _in_thread(self._share, named)
        for digest in sorted(kept & named):
            _in_thread(self._touch, digest)
        for digest in sorted(kept - named):
            _in_thread(self._drop, digest)

    def _checked(self, project: str, path: Path, by: str) -> Version:
        """Check a bundle that has arrived, and keep it. Raises InvalidArgument, Unavailable."""
        manifest = bundle.read_manifest(path, self._most_mb)
        if manifest.project != project:
            raise InvalidArgument(
                f"the bundle is one of project {manifest.project}, and was sent for {project}; "
                "deploy it under its own name"
            )
        digest = bundle.digest_of(path)
        if self._shared is not None:
            self._shared.put(digest, path)
        self._place.put(digest, path)
        self._touch(digest)  # it may have been there, and nobody needed it any more
        size, requirements = path.stat().st_size, bundle.requirements_in(path)
        return Version(digest, 0, by, size, tuple(manifest.spiders), requirements)

    def _share(self, named: set[str]) -> None:
        """Bring to the shared place what it lacks of the bundles that are here. Raises
        Unavailable."""
        assert self._shared is not None  # the caller has looked
        for digest in named - set(self._shared.digests()):
            if self._path(digest).exists():
                self._shared.put(digest, self._path(digest))

    def _fetch(self, digest: str) -> None:
        """Get a bundle from the shared place, or else from another master. Raises NotFound if
        nobody has it."""
        if self._shared is not None:
            try:
                return _in_thread(self._shared.fetch, digest, self._path(digest))
            except CrawlerError as error:
                log.warning("no bundle from deploy.url", digest=digest, error=str(error))
        for address in self._others():
            try:
                with self._begun() as (path, file):
                    _write(self._peers.backend(address).bundle(digest, Call(FETCH_S, True)), file)
                    _in_thread(self._place.put, digest, path)
                log.info("fetched a bundle", digest=digest, master=address)
                return
            except CrawlerError as error:
                log.warning("no bundle from a master", digest=digest, error=str(error))
        raise NotFound(f"no master has bundle {digest[:SHORT]!r}; deploy its project again")

    def _touch(self, digest: str) -> None:
        """Note that somebody needs a bundle now."""
        with suppress(OSError):
            os.utime(self._path(digest))

    def _drop(self, digest: str) -> None:
        """Remove a bundle that nobody has needed for a while."""
        with suppress(FileNotFoundError):
            if time.time() - self._path(digest).stat().st_mtime > SPARED_S:
                self._place.remove(digest)
                if self._shared is not None:
                    self._shared.remove(digest)
                log.info("removed a bundle that no project names", digest=digest)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.zip"

    @contextmanager
    def _begun(self) -> Iterator[tuple[Path, BinaryIO]]:
        """A file that is gone at the end. Raises Unavailable if the disk takes no more."""
        path = None
        try:
            _in_thread(partial(self._folder.mkdir, parents=True, exist_ok=True))
            number, name = _in_thread(partial(tempfile.mkstemp, prefix=BEGUN, dir=self._folder))
            path = Path(name)
            with open(number, "wb") as file:
                yield path, file
        except OSError as error:
            raise Unavailable(f"{self._folder}: {error.strerror}; bundles are kept there") from None
        finally:
            if path is not None:
                _in_thread(partial(path.unlink, missing_ok=True))


def shared_place(settings: Settings) -> BundlePlace | None:
    """Return the place that the masters share, if the settings name one. Raises ConfigError if it
    cannot be used."""
    url = settings.deploy.url
    if url == HISTORY:
        return DatabasePlace(settings.history.url, settings.folder)
    return SharedPlace(url) if url else None


def _write(chunks: Iterable[bytes], file: BinaryIO) -> None:
    """Write chunks, many at once: each change of threads costs as much as to write some."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        if len(waiting) >= AT_ONCE:
            _in_thread(file.write, bytes(waiting))
            waiting.clear()
    _in_thread(file.write, bytes(waiting))
    _in_thread(file.flush)


def _read(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := _in_thread(file.read, AT_ONCE):
            yield chunk


def _in_thread(work: Callable[..., T], *args: object) -> T:
    """Run a function in a native thread of the hub."""
    return in_thread(gevent.get_hub().threadpool, partial(work, *args))
