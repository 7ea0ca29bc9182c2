"""What an engine holds at one moment."""

from __future__ import annotations

from crawler.engine.engine import Engine
from crawler.node.crew.crew import Figures


def figures_of(engine: Engine) -> Figures:
    """What an engine holds at this moment."""
    owner, crawls = engine.host_owner, engine.statistics
    return Figures(
        held_bytes=engine.held.held,
        hosts_owned=0 if owner is None else len(owner),
        hosts_waited_for=0 if owner is None else owner.waiting,
        pending=crawls.pending(),
        store_bytes=crawls.store_bytes(),
    )
