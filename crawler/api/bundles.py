"""What a master does with the bytes of bundles, as the API sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from crawler.api.backend import Call
from crawler.errors import Unavailable
from crawler.model.projects import BundleFiles, Comparison, Version

CHUNK = 48_000
"""How many bytes one message with a part of a bundle has. Each server takes at least 65,536."""


class Bundles(Protocol):
    """Takes, keeps and gives bundles."""

    def take(self, project: str, chunks: Iterable[bytes], by: str) -> Version:
        """Receive a bundle, check it, and keep it. Return what to record of it.

        Raises InvalidArgument for what is no bundle of that project, or too large, and Unavailable.
        """
        ...

    def give(self, digest: str, call: Call) -> Iterator[bytes]:
        """Return the bytes of a bundle. A master that does not have it asks the others, unless one
        of them asks. Raises NotFound, Unavailable."""
        ...

    def files(self, digest: str) -> BundleFiles:
        """Return what is in a bundle. Raises NotFound, Unavailable."""
        ...

    def compare(self, before: str, after: str) -> Comparison:
        """Return how two bundles differ, given their digests. Raises NotFound, Unavailable."""
        ...


class NoBundles:
    """Stands for the bundles of a node that keeps none."""

    def take(self, project: str, chunks: Iterable[bytes], by: str) -> Version:
        """Raises Unavailable."""
        raise Unavailable("this node keeps no bundles")

    def give(self, digest: str, call: Call) -> Iterator[bytes]:
        """Raises Unavailable."""
        raise Unavailable("this node keeps no bundles")

    def files(self, digest: str) -> BundleFiles:
        """Raises Unavailable."""
        raise Unavailable("this node keeps no bundles")

    def compare(self, before: str, after: str) -> Comparison:
        """Raises Unavailable."""
        raise Unavailable("this node keeps no bundles")
