"""The deployed projects, as etcd stores them. All nodes mirror them; only the leader writes, with a
fence.

A write names the revision that it replaces. So of two deployments at one moment none is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from crawler.clock import Clock
from crawler.coordination.decisions import write_mirrored
from crawler.coordination.fields import dump, labels, load_object, typed, whole
from crawler.coordination.keys import Keys
from crawler.coordination.mirror import Change, Mirror
from crawler.coordination.store import KeyValue, Store
from crawler.model.projects import DIGEST_WORDS, Project, Version, is_digest, is_project_name
from crawler.model.records import Leadership, Spec

OnChange = Callable[[Sequence[Change[Project]]], None]


class Projects:
    """The mirror of the projects, and the way to change them."""

    def __init__(
        self, store: Store, keys: Keys, clock: Clock, on_change: OnChange = lambda changes: None
    ) -> None:
        """`on_change` is called with the projects that changed."""
        self._store = store
        self._keys = keys
        self.mirror: Mirror[Project] = Mirror(
            store, keys.projects, partial(decode_project, keys), clock, on_change
        )

    def all(self) -> Sequence[Project]:
        """Return the projects, by name."""
        return sorted(self.mirror.values.values(), key=lambda project: project.name)

    def get(self, name: str) -> Project | None:
        """Return the project with that name; None if there is none."""
        return self.mirror.values.get(self._keys.project(name))

    def bundle_for(self, task: Spec) -> str:
        """Return the digest of the bundle with which a run of a task begins; empty if its project
        is gone."""
        found = self.get(task.project)
        return task.bundle or (found.current if found is not None else "")

    def put(self, leadership: Leadership, project: Project) -> Project:
        """Store a project in place of the value that it was read from. Return it as it is stored.

        Raises Conflict if another value was stored meanwhile, LeadershipLost, Retryable,
        StoreRefused.
        """
        value = encode_project(project)
        stored_at = self._write(leadership, project.name, value, project.mod_revision)
        return replace(project, mod_revision=stored_at)

    def remove(self, leadership: Leadership, project: Project) -> None:
        """Remove a project. Raises as `put` does."""
        self._write(leadership, project.name, None, project.mod_revision)

    def _write(self, leadership: Leadership, name: str, value: bytes | None, based_on: int) -> int:
        key = self._keys.project(name)
        what = f"project {name!r}"
        return write_mirrored(self._store, self.mirror, leadership, key, value, based_on, what)


def encode_project(project: Project) -> bytes:
    """Encode a project."""
    return dump(
        {
            "name": project.name,
            "current": project.current,
            "versions": [
                {
                    "digest": each.digest,
                    "at_ns": each.at_ns,
                    "by": each.by,
                    "bytes": each.bytes,
                    "spiders": list(each.spiders),
                    "requirements": each.requirements,
                }
                for each in project.versions
            ],
            "labels": dict(project.labels),
        }
    )


def decode_project(keys: Keys, kv: KeyValue) -> Project | None:
    """Decode a project for a mirror; None for other keys below the prefix. Raises ValueError."""
    name = kv.key.removeprefix(keys.projects)
    if not is_project_name(name):
        return None
    value = load_object(kv.value)
    if value.get("name", name) != name:
        raise ValueError(f"name is {value['name']!r:.80}, but the key says {name!r:.80}")
    current = typed(value, "current", str, "")
    project = Project(
        name,
        current,
        tuple(map(_version_of, typed(value, "versions", list, []))),
        labels(typed(value, "labels", dict, {})),
        kv.mod_revision,
    )
    if project.version(current) is None:
        raise ValueError(f"current is {current!r:.80}; the digest of one of versions is allowed")
    return project


def _version_of(value: Any) -> Version:
    if not isinstance(value, dict):
        raise ValueError(f"versions has {value!r:.80}; JSON objects are allowed")
    digest = typed(value, "digest", str, "")
    if not is_digest(digest):
        raise ValueError(f"digest is {digest!r:.80}; {DIGEST_WORDS} are allowed")
    return Version(
        digest,
        whole(value, "at_ns"),
        typed(value, "by", str, ""),
        whole(value, "bytes"),
        _texts(value, "spiders"),
        whole(value, "requirements"),
    )


def _texts(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = typed(value, key, list, [])
    if not all(isinstance(text, str) for text in found):
        raise ValueError(f"{key} is {found!r:.80}, not a list of text")
    return tuple(found)
