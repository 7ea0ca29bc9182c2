"""The state that one pass of the leader works on: the mirrored resources with the pass's changes.

A pass decides on a draft and commits the changes at its end. Each change names the revision on
which it was decided. This module does no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from crawler.coordination.ledger import Change
from crawler.model.records import Resource, Spec, State


class Draft:
    """Reads from the mirror, and keeps all changes to itself until the commit."""

    def __init__(
        self,
        stored: Callable[[str], Resource | None],
        mint: Callable[[], int],
        now_ns: Callable[[], int],
        on_change: Callable[[str, Resource | None], None] = lambda name, resource: None,
        bundle_for: Callable[[Spec], str] = lambda spec: spec.bundle,
    ) -> None:
        """`stored` returns the stored resource of a name. `mint` returns a new id. `on_change` is
        called with each change at once, committed or not, unless its receiver made that change.
        `bundle_for` returns the digest of the bundle with which a run of a task begins."""
        self.stored = stored
        """Returns the stored resource of a name, without the changes made here."""
        self._on_change = on_change
        self._mint = mint
        self._bundle_for = bundle_for
        self.now_ns = now_ns
        """Returns the time of now: Unix time in nanoseconds."""
        self.trace = ""
        """The span of the request that is being decided: the runs that it asks for belong to it."""
        self._changed: dict[str, Resource | None] = {}
        self._minted: dict[str, int] = {}
        self._kept: set[str] = set()
        self._bases: dict[str, Resource | None] = {}
        """The stored resource on which each change was decided. The mirror may move on before the
        commit."""

    def get(self, name: str) -> Resource | None:
        """Return the resource as this draft shows it, or None."""
        return self._changed[name] if name in self._changed else self.stored(name)

    def add(self, spec: Spec, awaits_spider: bool = False) -> None:
        """Set a new resource of that specification."""
        new_id = self._new_id(spec.name)
        made = Resource(spec, new_id, self.now_ns(), awaits_spider=awaits_spider, trace=self.trace)
        self.put(made)

    def put(self, resource: Resource) -> None:
        """Set a resource. It gets an id and a creation time if it lacks them."""
        resource = self._completed(resource)
        self._decide(resource.name, resource)
        self._on_change(resource.name, resource)

    def put_placed(self, before: Resource, after: Resource) -> None:
        """Set a resource that was just read here and is reserved for its worker. `on_change` is not
        called, because the reservation has the same content."""
        name = before.name
        self._bases.setdefault(name, before)  # keeps that of an earlier change
        self._changed[name] = self._completed(after)

    def keep(self, name: str) -> None:
        """Make the commit check that a resource, or its absence, is still as it was read here."""
        self._kept.add(name)
        self._bases.setdefault(name, self.stored(name))

    def base(self, name: str) -> Resource | None:
        """Return the stored resource on which a change was decided; None if there was none."""
        return self._bases[name]

    def delete(self, name: str) -> None:
        """Delete a resource."""
        self._decide(name, None)
        self._on_change(name, None)
        self._minted.pop(name, None)

    @property
    def unexplained(self) -> list[str]:
        """The names of the resources changed here that wait without an owner and without a
        reason."""
        return [
            r.name
            for r in self._changed.values()
            if r is not None and r.owner is None and r.state is State.PENDING and not r.reason
        ]

    @property
    def names(self) -> Iterable[str]:
        """The names of the resources changed here."""
        return self._changed.keys()

    def changes(self) -> Sequence[Change]:
        """Return what to commit. A resource that this draft added and deleted again is left out."""
        written = [
            Change(name, after, self._revision(name), self._minted.get(name, 0))
            for name, after in self._changed.items()
            if after is not None or self._bases[name] is not None
        ]
        kept = sorted(self._kept - {change.name for change in written})
        return written + [Change(name, None, self._revision(name), keeps=True) for name in kept]

    def _completed(self, resource: Resource) -> Resource:
        if resource.spec.project and resource.owner is not None and not resource.digest:
            resource = resource.replace(digest=self._digest_of(resource.spec))
        if self.trace and self.trace != resource.trace and self._needs_run(resource):
            resource = resource.replace(trace=self.trace)
        if resource.id and resource.creation_time:
            return resource
        return resource.replace(
            id=resource.id or self._new_id(resource.name),
            creation_time=resource.creation_time or self.now_ns(),
        )

    def _needs_run(self, resource: Resource) -> bool:
        """Whether a resource is to run, and has no such run yet."""
        if resource.has_ended or resource.paused:
            return False
        stored = self.stored(resource.name)
        return stored is None or resource.owner is None or resource.epoch != stored.epoch

    def _digest_of(self, spec: Spec) -> str:
        """Return the bundle for a run that begins. All shards of a task have the same."""
        head = self.get(spec.shard_of) if spec.shard_of else None
        return head.digest if head is not None and head.digest else self._bundle_for(spec)

    def _new_id(self, name: str) -> str:
        self._minted[name] = self._mint()
        return str(self._minted[name])

    def _decide(self, name: str, after: Resource | None) -> None:
        if name not in self._bases:
            self._bases[name] = self.stored(name)
        self._changed[name] = after

    def _revision(self, name: str) -> int:
        base = self._bases[name]
        return base.mod_revision if base is not None else 0
