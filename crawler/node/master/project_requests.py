"""Carries out requests about projects for one term: deploy, show, roll back and delete them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from crawler.api.backend import Call
from crawler.coordination.decisions import MOST_TRIES
from crawler.errors import Conflict, NotFound, WrongState, shown
from crawler.model.projects import Project, ProjectView, Version, absent
from crawler.model.records import Resource
from crawler.node.master.draft import Draft
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.pauses import Counted, as_stored
from crawler.node.master.rolling import rolled
from crawler.node.master.writer import TermWriter

ROLLED_AT_ONCE = 100
"""How many runs one request to the writer rolls."""


@dataclass(frozen=True, slots=True)
class Roll:
    """Let the runs of tasks go on with another bundle."""

    subjects: Sequence[str]
    project: str
    version: Version
    counted: Counted = as_stored

    def apply(self, draft: Draft) -> Sequence[str]:
        """Roll those that still have another bundle. A shard follows its task."""
        for name in self.subjects:
            present = draft.get(name)
            if present is not None and can_roll(present, self.project, self.version):
                draft.put(rolled(present, self.version.digest, draft.now_ns(), self.counted))
            else:
                draft.keep(name)
        return self.subjects


def can_roll(task: Resource, project: str, version: Version) -> bool:
    """Whether the run of a task has another bundle of a project, and can go on with this one: it
    has the spider, and the task keeps to no bundle."""
    spec = task.spec
    is_open = spec.project == project and not spec.shard_of and not task.has_ended
    is_other = not spec.bundle and task.digest not in ("", version.digest)
    return is_open and is_other and spec.spider_name in version.spiders


class ProjectRequests:
    """Stores and removes projects, in the greenlet of the request."""

    def __init__(self, ctx: LeaderContext, writer: TermWriter, keep: int, counted: Counted) -> None:
        """`keep` is how many versions are kept of each. `counted` returns a task with the latest
        counts of its run."""
        self._ctx = ctx
        self._projects = ctx.projects
        self._writer = writer
        self._keep = keep
        self._counted = counted

    def deploy(self, name: str, version: Version, roll: bool, call: Call) -> ProjectView:
        """Make a bundle the current one. Nothing changes if it is that already. Raises Conflict,
        LeadershipLost, Retryable, StoreRefused."""

        def deployed(found: Project) -> Project:
            if found.current == version.digest:
                return found
            now = replace(version, at_ns=self._ctx.clock.time_ns())
            others = tuple(each for each in found.versions if each.digest != version.digest)
            return replace(found, current=version.digest, versions=(now, *others))

        return self._changed(name, deployed, roll, call)

    def rollback(self, name: str, digest: str, roll: bool, call: Call) -> ProjectView:
        """Make another version the current one. Raises NotFound, and as `deploy` does."""

        def back(found: Project) -> Project:
            if not found.mod_revision:
                raise NotFound(absent(name))
            version = found.named(digest) if digest else found.before
            if version is None:
                what = f"no version {shown(digest)}" if digest else "no version before the current"
                raise NotFound(
                    f"{what} is kept of project {name}; `crawler projects {name}` shows those that "
                    "are"
                )
            return replace(found, current=version.digest)

        return self._changed(name, back, roll, call)

    def all(self) -> Sequence[ProjectView]:
        """Return all projects, by name."""
        return list(map(ProjectView, self._projects.all()))

    def get(self, name: str) -> ProjectView:
        """Return one project. Raises NotFound."""
        return ProjectView(self._found(name))

    def remove(self, name: str) -> ProjectView:
        """Remove a project, and return it. Raises NotFound; WrongState while an unfinished task
        names it; and as `deploy` does."""
        found = self._found(name)
        user = next((each for each in self._tasks_of(name) if not each.has_ended), None)
        if user is not None:
            raise WrongState(
                f"project {name}: task {shown(user.name)} is {user.told_state} and names it; stop "
                "or delete its tasks first"
            )
        self._projects.remove(self._ctx.leadership, found)
        return ProjectView(found)

    def _changed(
        self, name: str, change: Callable[[Project], Project], roll: bool, call: Call
    ) -> ProjectView:
        """Change a project; again if it was changed meanwhile."""
        for _ in range(MOST_TRIES):
            found = self._projects.get(name) or Project(name)
            changed = self._bounded(change(found))
            try:
                kept = found if changed == found else self._put(changed)
            except Conflict:
                continue
            return ProjectView(kept, self._roll(kept, call) if roll else 0)
        raise Conflict(f"others keep changing project {name!r}; try again")

    def _put(self, project: Project) -> Project:
        return self._projects.put(self._ctx.leadership, project)

    def _bounded(self, project: Project) -> Project:
        """Return a project without the versions that are neither new nor used."""
        used = {project.current}
        for task in self._tasks_of(project.name):
            used.add(task.spec.bundle)
            if not task.has_ended:
                used.add(task.digest)
        versions = project.versions
        kept = tuple(v for at, v in enumerate(versions) if at < self._keep or v.digest in used)
        return replace(project, versions=kept)

    def _roll(self, project: Project, call: Call) -> int:
        """Let the runs under way go on with the current bundle. Return how many did not have it."""
        version = project.version(project.current)
        assert version is not None  # it has just been made the current one
        names = [
            each.name
            for each in self._tasks_of(project.name)
            if can_roll(each, project.name, version)
        ]
        for at in range(0, len(names), ROLLED_AT_ONCE):
            some = names[at : at + ROLLED_AT_ONCE]
            command = Roll(some, project.name, version, self._counted)
            self._writer.submit(command, call)
        return len(names)

    def _tasks_of(self, project: str) -> Iterator[Resource]:
        resources = self._ctx.mirrors.all_resources()
        return (each for each in resources if each.spec.project == project)

    def _found(self, name: str) -> Project:
        found = self._projects.get(name)
        if found is None:
            raise NotFound(absent(name))
        return found
