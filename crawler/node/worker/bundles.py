"""The bundles of a worker: it fetches those of all projects, makes their environments, and says
which spiders of projects it offers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import gevent
from gevent.event import AsyncResult, Event

from crawler.clock import Clock
from crawler.coordination.keys import Keys
from crawler.coordination.projects import Projects
from crawler.coordination.store import Store
from crawler.deploy.bundle import digest_of
from crawler.deploy.manifest import Manifest
from crawler.deploy.places import damaged
from crawler.errors import CrawlerError, InvalidArgument, NotFound, Retryable, Unavailable
from crawler.logs import get_logger
from crawler.model.projects import SHORT, Project, told_bundles
from crawler.node.crew.program import Program, Unusable
from crawler.node.worker.environments import Environments, in_thread
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

AGAIN_S = 5.0
"""The pause before another try to get the current bundle of a project."""
SWEEP_S = 600.0
"""How often it is looked for bundles that nobody needs."""

Fetch = Callable[[str], Iterable[bytes]]
"""Yields the bytes of the bundle with that digest. Raises NotFound, Retryable."""


class WorkerBundles:
    """Has the bundles of projects ready on this worker."""

    def __init__(self, store: Store, keys: Keys, environments: Environments, clock: Clock) -> None:
        self._projects = Projects(store, keys, clock, self._on_change)
        self._environments = environments
        self._clock = clock
        self.fetch: Fetch = _from_nobody
        """Where bundles come from; set before the first is needed."""
        self.on_offer: Callable[[], None] = lambda: None
        """Called when this worker offers other spiders than before."""
        self.used: Callable[[], Iterable[str]] = tuple
        """Returns the digests of the bundles that its runs have."""
        self._offers: dict[str, tuple[Project, str]] = {}
        """Each project with the digest that is ready here, by name."""
        self._refused: dict[str, str] = {}
        """Why bundles cannot be run here, by digest."""
        self._programs: dict[str, Program] = {}
        self._under_way: dict[str, AsyncResult] = {}
        self._changed = Event()

    # -- what the crew asks ----------------------------------------------------------------------

    def ready(self, digest: str) -> Program:
        """Return the program of a bundle, once it is here with all that it needs. One greenlet at a
        time gets a bundle; others wait for it."""
        if digest in self._programs:
            return self._programs[digest]
        other = self._under_way.get(digest)
        if other is not None:
            found: Program = other.get()
            return found
        mine = self._under_way[digest] = AsyncResult()
        try:
            program = self._programs[digest] = self._made(digest)
            mine.set(program)
            return program
        except BaseException as error:
            mine.set_exception(error if isinstance(error, CrawlerError) else Unavailable("again"))
            raise
        finally:
            del self._under_way[digest]

    # -- what the worker asks --------------------------------------------------------------------

    def spiders(self) -> frozenset[str]:
        """The spiders of projects that this worker offers, as `project/spider`."""
        return frozenset(
            f"{project.name}/{spider}"
            for project, digest in self._offers.values()
            if (version := project.version(digest)) is not None
            for spider in version.spiders
        )

    def metadata(self) -> Mapping[str, str]:
        """What its registration says of bundles; nothing if there are none."""
        return told_bundles({name: digest for name, (_, digest) in self._offers.items()})

    def start(self, supervisor: Supervisor) -> None:
        """Begin to have the current bundle of each project ready."""
        self._projects.mirror.start(supervisor)
        supervisor.spawn("bundles", self._keep_forever, on_end=OnEnd.RESTART)

    def _on_change(self, _: object) -> None:
        self._changed.set()

    def _keep_forever(self) -> None:
        self._projects.mirror.listed.wait()
        swept_s = self._clock.monotonic()
        while True:
            self._changed.clear()
            is_done = self._keep()
            if self._clock.monotonic() - swept_s > SWEEP_S:
                swept_s = self._clock.monotonic()
                self._sweep()
            self._clock.wait(self._changed, SWEEP_S if is_done else AGAIN_S)

    def _keep(self) -> bool:
        """Get what is missing, and offer it. Return whether nothing is missing any more."""
        projects = {project.name: project for project in self._projects.all()}
        is_done = True
        for name in [name for name in self._offers if name not in projects]:
            del self._offers[name]
            self.on_offer()
        for project in projects.values():
            is_done &= self._has(project)
        return is_done

    def _has(self, project: Project) -> bool:
        """Have the current bundle of a project ready, and offer it. Return whether that is all that
        can be done."""
        digest = project.current
        if digest in self._refused:
            return True
        try:
            self.ready(digest)
        except Retryable as error:
            log.warning("a bundle is not ready yet", project=project.name, why=str(error))
            return False
        except (Unusable, InvalidArgument) as error:
            self._refused[digest] = str(error)
            log.error(
                "this worker cannot run a project",
                project=project.name,
                digest=digest[:SHORT],
                why=str(error),
            )
            self._offers.pop(project.name, None)
            self.on_offer()
            return True
        if self._offers.get(project.name) != (project, digest):
            self._offers[project.name] = (project, digest)
            self.on_offer()
        return True

    def _made(self, digest: str) -> Program:
        try:
            manifest = self._environments.find(digest) or self._fetched(digest)
            return self._environments.program(digest, manifest)
        except NotFound as error:
            if digest in {v.digest for each in self._projects.all() for v in each.versions}:
                raise Unavailable(str(error)) from None
            raise Unusable(
                f"bundle {digest[:SHORT]} is not kept any more; run the task once more to have "
                "the current one"
            ) from None
        except InvalidArgument as error:
            raise Unusable(str(error)) from None

    def _fetched(self, digest: str) -> Manifest:
        """Fetch a bundle, check its digest, and unpack it. The file is gone afterwards."""
        with tempfile.NamedTemporaryFile(prefix="bundle-") as file:
            for chunk in self.fetch(digest):
                in_thread(file.write, chunk)
            in_thread(file.flush)
            path = Path(file.name)
            if in_thread(digest_of, path) != digest:
                raise damaged(digest)
            manifest = self._environments.unpack(digest, path)
        log.info("fetched a bundle", project=manifest.project, digest=digest[:SHORT])
        return manifest

    def _sweep(self) -> None:
        """Forget bundles that neither projects nor runs have."""
        needed = {v.digest for each in self._projects.all() for v in each.versions}
        needed.update(self.used())
        self._programs = {k: each for k, each in self._programs.items() if k in needed}
        gevent.get_hub().threadpool.apply(self._environments.sweep, (needed,))


def _from_nobody(digest: str) -> Iterable[bytes]:
    raise Unavailable("this worker does not know any master yet")
