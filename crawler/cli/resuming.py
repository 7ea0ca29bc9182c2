"""The options with which a crawl goes on later, and what they tell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli import options
from crawler.devtools.going_on import dropped, found, left
from crawler.devtools.shared_hosts import hosts_in
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.kept import Kept, open_store
from crawler.engine.frontier.sqlite_store import SqliteStore
from crawler.engine.frontier.store import Store, StoreDamaged, StoreFailed
from crawler.engine.items.sinks.targets import STANDARD_OUTPUT, lasting
from crawler.engine.politeness.sharing import SharedHosts
from crawler.errors import ConfigError
from crawler.items.names import folder_name
from crawler.model.records import Spec
from crawler.settings import forms, redis_url
from crawler.settings.config import variable
from crawler.settings.sections import Settings
from crawler.settings.worker import FrontierSettings

if TYPE_CHECKING:
    from crawler.engine.frontier.redis_states import RedisStates

SCRAPYS = "JOBDIR"
"""Scrapy's setting for the folder."""


def folder_of(resume: str | None, settings: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The folder of the state, empty if there is none, and the other settings. Raises Unusable."""
    scrapys = [text for text in settings if text.partition("=")[0] == SCRAPYS]
    others = tuple(text for text in settings if text not in scrapys)
    named = {f"-s {SCRAPYS}": text.partition("=")[2] for text in scrapys}
    if resume is not None:
        named["--resume"] = resume
    for option, folder in named.items():
        if not folder.strip():
            raise options.Unusable(
                f"{option}: {folder!r} names no folder; name one, or leave the option out"
            )
    folders = set(named.values())
    if len(folders) > 1:
        raise options.Unusable(
            f"-s {SCRAPYS} and --resume name two folders, {' and '.join(sorted(folders))}; give one"
        )
    return (folders.pop() if folders else ""), others


def refuse_alone(anew: bool, drop_missing: bool) -> None:
    """Refuse the options that mean nothing without a folder. Raises Unusable."""
    if anew:
        raise options.Unusable("--anew: drops what a folder keeps; name it with --resume")
    if drop_missing:
        raise options.Unusable(
            "--drop-missing: is about requests that a folder keeps; name it with --resume"
        )


@contextmanager
def opened(
    folder: str, spec: Spec, anew: bool, drop_missing: bool, outputs: Sequence[str]
) -> Iterator[Kept | None]:
    """The store of a crawl, if it has a folder. Tells what is there.

    Raises Unusable if the folder cannot be used, and StoreDamaged.
    """
    if not folder:
        refuse_alone(anew, drop_missing)
        yield None
        return
    store = store_at(folder, spec)
    drop = _tell_dropped if anew else None
    places = [lasting(place) for place in outputs]
    try:
        kept = open_store(store, spec, drop, drops_missing=drop_missing, places=places)
    except StoreDamaged:
        raise
    except StoreFailed as error:
        raise options.Unusable(str(error)) from error
    try:
        for message in found(kept):
            say(message)
        if STANDARD_OUTPUT in outputs:
            say("items on standard output cannot be taken back: after a kill some come twice")
        yield kept
    except options.Unusable:
        if kept.found.is_new:
            store.clear()  # nothing has begun
        raise
    finally:
        store.close()


def store_at(place: str, spec: Spec) -> Store:
    """The store of a spider in a folder, or in the Redis of a URL. Raises Unusable."""
    redis = redis_at(place)
    if redis is None:
        return SqliteStore(Path(place))
    return _states_in(redis)(f"runspider/{spec.spider_name}", takes_over=False)


def stores_at(place: str) -> Callable[[str], Store]:
    """Makes the stores of tasks by their names, in a folder, or in the Redis of a URL. Raises
    Unusable."""
    redis = redis_at(place)
    if redis is None:
        return lambda name: SqliteStore(Path(place, folder_name(name)))
    states = _states_in(redis)
    return lambda name: states(f"run/{name}", takes_over=False)


def redis_at(place: str) -> FrontierSettings | None:
    """The Redis that a place for states names; None if it is a folder. Raises Unusable."""
    if "://" not in place and not place.startswith(("redis:", "rediss:", "redis+", "rediss+")):
        return None
    if not redis_url.is_redis_url(place):
        shown = forms.without_login(place)
        raise options.Unusable(
            f"--resume: {shown!r} given; {redis_url.ALLOWED} or a folder is allowed"
        )
    password = os.environ.get(variable("frontier", "password"), "")
    return FrontierSettings(url=place, password=password)


@contextmanager
def hosts_of(settings: Settings, place: str) -> Iterator[SharedHosts | None]:
    """What this process shares of hosts with workers: those of the Redis in which it keeps its
    state, or that its settings name. Raises Unusable, and ConfigError."""
    redis = redis_at(place)
    if redis is None:
        with hosts_in(settings.frontier, settings.folder) as hosts:
            yield hosts
        return
    with _about_resume(), hosts_in(redis) as hosts:
        yield hosts


def _states_in(redis: FrontierSettings) -> RedisStates:
    from crawler.engine.frontier.redis_states import RedisStates  # most keep nothing there

    states = RedisStates.of(redis)
    with _about_resume():
        states.check()
    return states


@contextmanager
def _about_resume() -> Iterator[None]:
    """A context in which what is wrong with a Redis is wrong with `--resume`."""
    try:
        yield
    except ConfigError as error:
        if not str(error).startswith("frontier.url"):
            raise
        raise options.Unusable(str(error).replace("frontier.url", "--resume", 1)) from error


def tell_end(crawl: Crawl, kept: Kept | None) -> None:
    """Tell what the folder keeps after the end of a crawl."""
    if kept is None:
        return
    if crawl.is_done:
        say(f"the crawl is done; what {kept.store.place} kept of it is removed")
    else:
        say(left(crawl, kept.store.place))


def is_its_own(kept: Kept | None, place: str) -> bool:
    """Whether an earlier run of the same crawl has written items to that place."""
    return kept is not None and lasting(place) in (kept.places_before or ())


def _tell_dropped(kept: Kept) -> None:
    say(dropped(kept))


def say(message: str) -> None:
    """Tell people something that is not the result."""
    click.echo(f"crawler: {message}", err=True)
