"""Keeps secrets with the hosts for which they were given, whatever a task says.

The secrets of a crawl are its password and its headers that hold one. Operator, spider and task may
each give some. They go to the hosts within `http_auth_domain` of whoever gave the password, and no
task can send those of others elsewhere: not by another domain, nor by a proxy of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from crawler.engine.http import urls
from crawler.errors import InvalidArgument
from crawler.logs import get_logger
from crawler.settings.crawl import CrawlSettings
from crawler.settings.wire import SECRET

log = get_logger(__name__)

_WAYS = ("proxies", "verify_tls")
"""Settings by which a task could lead requests past somebody who reads them."""
_LOGIN = frozenset({"http_user", "http_password"})
_WHERE = ("http_auth_domain", "http_auth")


def of_operator(settings: CrawlSettings) -> CrawlSettings:
    """The settings of a worker whose tasks name hosts at will: without `http_auth_domain` its
    secrets go nowhere."""
    if settings.http_auth_domain or not _has_secrets(settings):
        return settings
    log.warning(
        "crawl.http_user and crawl.headers with a secret are sent to no host;"
        " name their host in crawl.http_auth_domain"
    )
    return _only(settings, {})


def kept_home(
    settings: CrawlSettings,
    own: CrawlSettings,
    spiders: Mapping[str, Any],
    tasks: Mapping[str, Any],
    start_url: str,
    led_by: Sequence[str],
) -> CrawlSettings:
    """The settings of a crawl, with the secrets of operator and spider bound to their hosts.

    `own` are the settings without the task's. `spiders` and `tasks` are what the spider and the
    task change. Who brings a secret does without those of others. A spider that names no host for
    its own means that of `start_url`, where it begins by itself. If that is empty, it means the
    host of the first request; but if `led_by`, parameters by which the task names URLs, can decide
    that, its secrets go nowhere. Raises InvalidArgument if the task says where the secrets of
    others go.
    """
    if _brings(tasks):
        return _only(settings, tasks)
    if _has_secrets(own):
        _check_where(tasks)
        ways = [way for way in _WAYS if getattr(settings, way) != getattr(own, way)]
        if ways:
            return _sent_nowhere(settings, ways)
    if spiders.get("http_user") and not own.http_password:  # a key that needs no password
        spiders = {"http_password": "", **spiders}
    if not _brings(spiders):
        return settings
    bound = _only(settings, spiders)
    home = bound.http_auth_domain or urls.host(start_url)
    if led_by and not home:
        return _sent_nowhere(settings, led_by)
    return replace(bound, http_auth_domain=home)


def _brings(given: Mapping[str, Any]) -> bool:
    """Whether somebody gives a secret of their own."""
    headers = given.get("headers", {})
    return given.keys() >= _LOGIN or any(name.lower() in SECRET for name in headers)


def _only(settings: CrawlSettings, given: Mapping[str, Any]) -> CrawlSettings:
    """The settings with those secrets alone that somebody has given."""
    settings = replace(settings, http_auth_domain=given.get("http_auth_domain", ""))
    if not given.keys() >= _LOGIN:
        settings = replace(settings, http_user="", http_password="")
    return settings if "headers" in given else _without_secret_headers(settings)


def _check_where(tasks: Mapping[str, Any]) -> None:
    for name in _WHERE:
        if name in tasks:
            raise InvalidArgument(
                f"parameters.settings.{name}: {tasks[name]!r} is not allowed, because the password"
                " is not the task's own; allowed: together with http_user and http_password"
            )


def _sent_nowhere(settings: CrawlSettings, ways: Sequence[str]) -> CrawlSettings:
    log.warning(
        "the task does without the secrets of others, because of what it changes;"
        " leave that out, or name the host of a spider's secrets in its http_auth_domain",
        ways=ways,
    )
    return _only(settings, {})


def _has_secrets(settings: CrawlSettings) -> bool:
    return bool(settings.http_user or settings.http_password) or _secret_headers(settings)


def _secret_headers(settings: CrawlSettings) -> bool:
    return any(name.lower() in SECRET for name in settings.headers)


def _without_secret_headers(settings: CrawlSettings) -> CrawlSettings:
    if not _secret_headers(settings):
        return settings
    headers = {k: v for k, v in settings.headers.items() if k.lower() not in SECRET}
    return replace(settings, headers=headers)
