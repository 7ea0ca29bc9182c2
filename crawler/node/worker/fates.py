"""What becomes of a run that has to stop, by what etcd says of its resource."""

from __future__ import annotations

import enum

from crawler.coordination.codec import decode_stored
from crawler.coordination.keys import Keys
from crawler.coordination.store import Store
from crawler.errors import CrawlerError
from crawler.logs import get_logger
from crawler.model.records import Resource

log = get_logger(__name__)


class Fate(enum.Enum):
    """What becomes of a run that has to stop."""

    GOES_ON = "goes on"
    """Another run goes on with its crawl, here or elsewhere, by itself or when somebody asks."""
    OVER = "over"
    """Nobody goes on: the leader has recorded how it ended."""
    STOPPED = "stopped"
    """Nobody goes on: somebody stopped its task. It ends in order."""
    DELETED = "deleted"
    """Nobody goes on: its task was deleted."""
    SHED = "shed"
    """It was a shard of a task that has fewer workers now: these do what it has left."""


def fate_of(
    resource: Resource,
    here: Resource | None,
    is_elsewhere: bool,
    others: bool,
    can_go_on: bool = False,
) -> Fate:
    """Return what becomes of the run of a resource. `here` is the resource as this worker owns it
    now; `is_elsewhere` says that another owns it. `others` says whether its task has other
    shards. `can_go_on` says whether the run failed in a way after which another can go on."""
    if here is not None and here.id == resource.id:
        if here.stopped and here.has_ended:
            return Fate.STOPPED
        return Fate.OVER if here.has_ended and not can_go_on else Fate.GOES_ON
    if here is None and is_elsewhere:
        return Fate.GOES_ON
    return Fate.SHED if here is None and others else Fate.DELETED


def others_go_on(store: Store, keys: Keys, resource: Resource) -> bool:
    """Whether a resource is a shard of a task that is there and has not ended. If that cannot be
    asked, it may be."""
    if not resource.spec.shard:
        return False
    try:
        stored = store.get(keys.resource(resource.spec.task))
        head = decode_stored(keys, stored) if stored is not None else None
    except (CrawlerError, ValueError) as error:
        log.warning("cannot ask for the task of a shard", task=resource.name, why=str(error))
        return True
    return head is not None and head.id == resource.id and not head.has_ended
