"""The bundles of a worker: it fetches those of all projects, makes their environments, and says
which spiders of projects it offers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from gevent.event import AsyncResult, Event
from gevent.lock import BoundedSemaphore

from crawler.clock import Backoff, Clock
from crawler.coordination.keys import Keys
from crawler.coordination.projects import Projects
from crawler.coordination.store import Store
from crawler.deploy.bundle import digest_of
from crawler.deploy.manifest import Manifest
from crawler.deploy.places import damaged
from crawler.errors import CrawlerError, InvalidArgument, NotFound, Retryable, Unavailable
from crawler.logs import get_logger
from crawler.model.projects import SHORT, Project, told_bundles
from crawler.model.spiders import OfferedSpider, SpiderAbout, abouts_from
from crawler.node.crew.program import Program, Unusable
from crawler.node.worker.environments import Environments, in_thread
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

AGAIN_S = 5.0
"""The pause before another try to get the current bundle of a project."""
SWEEP_S = 600.0
"""How often it is looked for bundles that nobody needs, and those are tried that were refused."""
AT_ONCE = 4
"""As many bundles are made ready at once for the offer."""
TRIES = 3
"""After so many tries a bundle is refused whose packages cannot be installed."""

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
        self.on_ready: Callable[[], None] = lambda: None
        """Called when a bundle is not awaited any more."""
        self.used: Callable[[], Iterable[str]] = tuple
        """Returns the digests of the bundles that its runs have."""
        self._offers: dict[str, tuple[Project, str]] = {}
        """Each project with the digest that is ready here, by name."""
        self._refused: set[str] = set()
        """Bundles that cannot be run here."""
        self._faults: Counter[str] = Counter()
        """How often a bundle could not be made ready though it was here."""
        self._told: dict[str, str] = {}
        """Why bundles are not ready yet, as the log says already."""
        self._awaited: set[str] = set()
        """Bundles that runs under way are to go on with."""
        self._getting: set[str] = set()
        """Bundles that a greenlet gets for the offer."""
        self._slots = BoundedSemaphore(AT_ONCE)
        self._programs: dict[str, Program] = {}
        self._described: dict[str, Mapping[str, SpiderAbout]] = {}
        """What the spiders of each bundle show, by its digest."""
        self._under_way: dict[str, AsyncResult] = {}
        self._changed = Event()

    # -- what the crew asks ----------------------------------------------------------------------

    def ready(self, digest: str) -> Program:
        """Return the program of a bundle, once it is here with all that it needs. One greenlet at a
        time gets a bundle; others wait for it, and one of them goes on if that is cut off."""
        while digest not in self._programs:
            other = self._under_way.get(digest)
            if other is None:
                return self._get_ready(digest)
            other.get()
        return self._programs[digest]

    def _get_ready(self, digest: str) -> Program:
        mine = self._under_way[digest] = AsyncResult()
        try:
            self._programs[digest] = program = self._made(digest)
            return program
        except CrawlerError as error:
            mine.set_exception(error)
            raise
        finally:
            del self._under_way[digest]
            if not mine.ready():
                mine.set()

    # -- what the worker asks --------------------------------------------------------------------

    def awaits(self, digest: str) -> bool:
        """Return whether a bundle is not ready here yet. Then it is being made ready: `on_ready` is
        called when that is over."""
        if digest in self._programs or digest in self._refused:
            return False
        if digest not in self._awaited:
            self._awaited.add(digest)
            self._supervisor.spawn(f"bundle {digest[:SHORT]}", self._await, digest)
        return True

    def _await(self, digest: str) -> None:
        """Have a bundle ready, or find that it cannot be run here."""
        backoff = Backoff(most_s=AGAIN_S)
        try:
            while digest not in self._programs and digest not in self._refused:
                try:
                    self.ready(digest)
                except Retryable:
                    self._clock.sleep(backoff.next_s())
        except Unusable:
            self._refused.add(digest)
        finally:
            self._awaited.discard(digest)
            self.on_ready()

    def spiders(self) -> frozenset[str]:
        """The spiders of projects that this worker offers, as `project/spider`."""
        return frozenset(
            f"{project.name}/{spider}"
            for project, digest in self._offers.values()
            if (version := project.version(digest)) is not None
            for spider in version.spiders
        )

    def offered(self) -> Iterator[OfferedSpider]:
        """Yield the same spiders with what their classes show."""
        for project, digest in self._offers.values():
            version, described = project.version(digest), self._described.get(digest, {})
            for spider in version.spiders if version is not None else ():
                yield OfferedSpider(spider, project.name, described.get(spider))

    def metadata(self) -> Mapping[str, str]:
        """What its registration says of bundles; nothing if there are none."""
        return told_bundles({name: digest for name, (_, digest) in self._offers.items()})

    def start(self, supervisor: Supervisor) -> None:
        """Begin to have the current bundle of each project ready."""
        self._projects.mirror.start(supervisor)
        self._supervisor = supervisor
        supervisor.spawn("bundles", self._keep_forever, on_end=OnEnd.RESTART)

    def _on_change(self, _: object) -> None:
        self._changed.set()

    def _keep_forever(self) -> None:
        self._projects.mirror.listed.wait()
        swept_s = self._clock.monotonic()
        while True:
            self._changed.clear()
            lacks = self._keep()
            if self._clock.monotonic() - swept_s > SWEEP_S:
                swept_s = self._clock.monotonic()
                self._sweep()
            self._clock.wait(self._changed, AGAIN_S if lacks else SWEEP_S)

    def _keep(self) -> bool:
        """Begin to get what is missing. Return whether anything is. A project whose packages take
        minutes keeps no other one waiting."""
        projects = {project.name: project for project in self._projects.all()}
        for name in [name for name in self._offers if name not in projects]:
            self._withdraw(name)
        missing = [each for each in projects.values() if self._lacks(each)]
        for project in missing:
            if project.current not in self._getting:
                self._getting.add(project.current)
                self._supervisor.spawn(f"bundle of {project.name}", self._get, project)
        return bool(missing)

    def _lacks(self, project: Project) -> bool:
        is_offered = self._offers.get(project.name) == (project, project.current)
        return not is_offered and project.current not in self._refused

    def _get(self, project: Project) -> None:
        """Have the current bundle of a project ready, and offer it."""
        digest = project.current
        try:
            with self._slots:
                self.ready(digest)
            self._offer(project)
        except Retryable as error:
            self._tell_lack(project, str(error))
        except Unusable as error:
            self._refused.add(digest)
            log.error(
                "this worker cannot run a project",
                project=project.name,
                digest=digest[:SHORT],
                why=str(error),
            )
            self._withdraw(project.name)
        finally:
            self._getting.discard(digest)

    def _tell_lack(self, project: Project, why: str) -> None:
        """Log why a bundle is not ready: once, and again if the reason changes."""
        note = log.debug if self._told.get(project.current) == why else log.warning
        self._told[project.current] = why
        note("a bundle is not ready yet", project=project.name, why=why)

    def _offer(self, project: Project) -> None:
        """Offer the spiders of a project, unless it has changed while its bundle was made ready."""
        if self._projects.get(project.name) == project:
            self._offers[project.name] = (project, project.current)
            self.on_offer()
        else:
            self._changed.set()

    def _withdraw(self, name: str) -> None:
        if self._offers.pop(name, None) is not None:
            self.on_offer()

    def _made(self, digest: str) -> Program:
        try:
            manifest = self._environments.find(digest) or self._fetched(digest)
            self._described[digest] = abouts_from(manifest.described)
            return self._environments.program(digest, manifest)
        except NotFound as error:
            if digest in {v.digest for each in self._projects.all() for v in each.versions}:
                raise Unavailable(str(error)) from None
            raise Unusable(
                f"bundle {digest[:SHORT]} is not kept any more; run the task once more to have "
                "the current one"
            ) from None
        except InvalidArgument as error:  # uv says so too if it reaches no index at present
            self._faults[digest] += 1
            raise (Unusable if self._faults[digest] >= TRIES else Unavailable)(str(error)) from None

    def _fetched(self, digest: str) -> Manifest:
        """Fetch a bundle, check its digest, and unpack it. The file is gone afterwards."""
        with self._environments.begun() as (path, file):
            for chunk in self.fetch(digest):
                in_thread(file.write, chunk)
            in_thread(file.flush)
            if in_thread(digest_of, path) != digest:
                raise damaged(digest)
            manifest = self._environments.unpack(digest, path)
        log.info("fetched a bundle", project=manifest.project, digest=digest[:SHORT])
        return manifest

    def _sweep(self) -> None:
        """Forget bundles that neither projects nor runs have, and try again what was refused."""
        self._refused.clear()
        self._faults.clear()
        self._told.clear()
        needed = {v.digest for each in self._projects.all() for v in each.versions}
        needed.update(self.used())
        self._programs = {k: each for k, each in self._programs.items() if k in needed}
        self._described = {k: each for k, each in self._described.items() if k in needed}
        in_thread(self._environments.sweep, needed)


def _from_nobody(digest: str) -> Iterable[bytes]:
    raise Unavailable("this worker does not know any master yet")
