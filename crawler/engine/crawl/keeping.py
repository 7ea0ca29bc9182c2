"""Chooses the parts of a crawl that keep its state: none, alone, or together with other shards."""

from __future__ import annotations

from typing import cast

from gevent.event import Event

from crawler.engine.crawl.checkpoints import Checkpoints
from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.dispatcher import Dispatcher
from crawler.engine.crawl.item_writer import ItemWriter
from crawler.engine.crawl.kept import Kept
from crawler.engine.crawl.no_checkpoints import NoCheckpoints
from crawler.engine.crawl.shared_checkpoints import SharedCheckpoints
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.frontier.journal import Journal
from crawler.engine.frontier.no_journal import NoJournal
from crawler.engine.frontier.shared_frontier import SharedFrontier
from crawler.engine.frontier.shared_journal import SharedJournal
from crawler.engine.frontier.shared_store import SharedStore
from crawler.engine.spiders import domains


def journal_of(kept: Kept | None, context: CrawlContext) -> NoJournal:
    """The journal of a crawl, which notes nothing without a store."""
    if kept is None:
        return NoJournal()
    kind = Journal if kept.shard is None else SharedJournal
    return kind(context.spider, kept.found, context.clock.monotonic, kept.store.sending)


def frontier_of(journal: NoJournal, context: CrawlContext, woken: Event) -> Frontier:
    """The frontier of a crawl."""
    spider, settings, now_s = context.spider, context.settings, context.clock.monotonic
    allowed = domains.of_spider(spider)
    if isinstance(journal, SharedJournal):
        return SharedFrontier(settings, now_s, allowed, woken.set, spider, journal)
    return Frontier(settings, now_s, allowed, woken.set, spider, journal)


def checkpoints_of(
    kept: Kept | None,
    context: CrawlContext,
    frontier: Frontier,
    journal: NoJournal,
    dispatcher: Dispatcher,
    item_writer: ItemWriter,
) -> NoCheckpoints:
    """The checkpoints of a crawl, which do nothing without a store."""
    if kept is None or not isinstance(journal, Journal):
        return NoCheckpoints()
    if isinstance(journal, SharedJournal) and isinstance(frontier, SharedFrontier):
        store = cast(SharedStore, kept.store)
        return SharedCheckpoints(kept, store, context, frontier, journal, dispatcher, item_writer)
    return Checkpoints(kept, context, frontier, journal, dispatcher, item_writer)
