"""What the calls of the API do. gRPC and HTTP share one `Service` object.

Only the leader handles requests. A `Backend` handles them: on the leader its own, on a follower a
gRPC client of the leader. `Service` picks the backend. It forwards a request at most once, with
what is left of its deadline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

from crawler.api.audited import AuditedBackend
from crawler.api.backend import Backend, Call
from crawler.api.bounded import BoundedBackend
from crawler.api.bundles import Bundles, NoBundles
from crawler.api.spider_list import KnownOffers
from crawler.api.trail import Trail
from crawler.errors import CrawlerError, NotFound, Unavailable, shown
from crawler.model.audit import PROJECT_DEPLOY
from crawler.model.item_files import ItemFolder
from crawler.model.logs import Passage, Piece, PieceKey
from crawler.model.processes import ProcessLoad
from crawler.model.projects import SHORT, BundleFiles, Comparison, Project, ProjectView, Version
from crawler.model.records import Leader
from crawler.model.statistics import Owns, Statistics

NO_LEADER = "nobody leads: no master has won the election yet; try again in 1 s"
"""What a master says while it sees no leader, to clients and to who asks whether it is ready."""


class Election(Protocol):
    """What the service asks the election."""

    def leader(self) -> Leader | None:
        """Return the leader as last observed; None while there is none."""
        ...

    def local_backend(self) -> Backend | None:
        """Return the backend of this node while it leads and is ready, else None."""
        ...

    def remote_backend(self, leader: Leader) -> Backend:
        """Return a client of that leader."""
        ...


class Service:
    """Routes each request to the backend that may answer it."""

    def __init__(
        self, election: Election, trail: Trail | None = None, bundles: Bundles | None = None
    ) -> None:
        """`trail` records what callers change. `bundles` keeps those of projects."""
        self._election = election
        self.offers = KnownOffers()
        """What workers have told of their spiders."""
        self._bundles = bundles or NoBundles()
        self._trail = trail or Trail()

    def leader(self) -> Leader:
        """Return the present leader. Raises Unavailable while there is none."""
        leader = self._election.leader()
        if leader is None:
            raise Unavailable(NO_LEADER)
        return leader

    def backend(self, call: Call) -> Backend:
        """Return the backend for a request, which records what a caller from outside changes.
        Itself, or its first call, raises Unavailable if this node must not forward the request."""
        if call.caller is None:
            return self._backend(call)
        find = partial(self._backend, call)
        return AuditedBackend(find, self._trail, call.caller)

    def deploy(self, project: str, chunks: Iterable[bytes], roll: bool, call: Call) -> ProjectView:
        """Take a bundle here, and let the leader record it. What is refused before is recorded in
        the audit, too. Raises InvalidArgument, Unavailable, OutcomeUnknown."""
        caller = call.caller
        try:
            version = self._bundles.take(project, chunks, caller.name if caller else "")
        except CrawlerError as error:
            if caller is not None:
                self._trail.note(caller, PROJECT_DEPLOY, project, error)
            raise
        return self.backend(call).deploy(project, version, roll, call)

    def bundle(self, digest: str, call: Call) -> Iterator[bytes]:
        """Return the bytes of a bundle. Raises NotFound, Unavailable."""
        return self._bundles.give(digest, call)

    def bundle_files(self, project: str, digest: str, call: Call) -> BundleFiles:
        """Return what is in a version of a project: the current one without a digest. Raises
        NotFound, Unavailable."""
        found = self.backend(call).project(project, call).project
        return self._bundles.files(_version_of(found, digest).digest)

    def compare(self, project: str, digest: str, since: str, call: Call) -> Comparison:
        """Return how a version of a project differs from another one: without `since`, from the one
        deployed before it. Raises NotFound, Unavailable."""
        found = self.backend(call).project(project, call).project
        version = _version_of(found, digest)
        before = _version_of(found, since) if since else found.before_version(version)
        if before is None:
            raise NotFound(
                f"no version before {version.digest[:SHORT]} is kept of project {project}; name "
                f"another one: `crawler projects {project}` shows those that are"
            )
        return self._bundles.compare(before.digest, version.digest)

    def _backend(self, call: Call) -> Backend:
        own = self._election.local_backend()
        if own is not None:
            caller = call.caller
            return BoundedBackend(own, caller) if caller and caller.labels else own
        leader = self.leader()
        if call.forwarded:
            raise Unavailable("this master does not lead any more; try again in a second")
        if not leader.address:
            raise Unavailable(f"the leader {leader.id!r} gives no address to pass the request to")
        return self._election.remote_backend(leader)


def _version_of(project: Project, digest: str) -> Version:
    """Return a version by its digest, or by 12 digits of it or more; without any, the current one.
    Raises NotFound."""
    found = project.named(digest) if digest else project.version(project.current)
    if found is None:
        what = f"no version {shown(digest)}" if digest else "no current version"
        raise NotFound(
            f"{what} is kept of project {project.name}; `crawler projects {project.name}` shows "
            "those that are"
        )
    return found


class Crawls(Protocol):
    """The statistics of the crawls of a worker."""

    def all(self, owns: Owns) -> Sequence[Statistics]:
        """Return the statistics of every known crawl that the caller may see."""
        ...

    def of(self, task: str, owns: Owns) -> Statistics:
        """Return the statistics of the crawl of a task, or of one shard of it. Raises NotFound, and
        Unavailable if the process of its crawl does not answer."""
        ...

    def of_task(self, task: str, owns: Owns) -> Statistics:
        """Return the statistics of all crawls of a task here, those of its shards too, as those of
        one crawl. Raises as `of` does."""
        ...

    def processes(self) -> Sequence[ProcessLoad]:
        """Return what each crawl process does now; none if the worker crawls by itself."""
        ...


class Logs(Protocol):
    """The logs of the runs of a worker."""

    def pieces(self, task: str) -> Sequence[Piece]:
        """Return the pieces of a task's log that are here."""
        ...

    def read(self, task: str, id: str, key: PieceKey, begin: int) -> Passage:
        """Return whole lines of a piece from that byte on. Raises OSError."""
        ...


class Items(Protocol):
    """The files of items of a worker."""

    def listed(self, task: str) -> Sequence[ItemFolder]:
        """Return the files of a task, with those in the place that all workers share. Raises
        CrawlerError if that does not answer."""
        ...

    def read(self, task: str, path: str, begin: int, moved: str = "") -> bytes:
        """Return bytes of a file from there on; none at its end. `moved` is its folder in the
        shared place. Raises InvalidArgument and NotFound."""
        ...
