"""Makes the spider of a task: it combines the settings and checks the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crawler.engine.http.failures import FAULTS
from crawler.engine.spiders import arguments
from crawler.engine.spiders.secrets import kept_home
from crawler.engine.spiders.spider import Spider
from crawler.errors import InvalidArgument
from crawler.settings import task_parameters
from crawler.settings.crawl import CrawlSettings
from crawler.settings.overrides import override
from crawler.settings.scrapy_names import of_class, translated

_LOGIN = {
    "http_user": "http_user",
    "http_password": "http_pass",
    "http_auth_domain": "http_auth_domain",
}
"""Settings → the attributes of a spider that give them too."""
_STARTS = ("sitemap_urls", "start_urls")
"""The attributes of a spider that name URLs where it begins."""
_LISTS = frozenset({"start_urls", "allowed_domains"})
"""Parameters that may be a single text instead of a list."""


def make_spider(
    spider_class: type[Spider],
    parameters: Mapping[str, Any],
    settings: CrawlSettings,
    trusts_tasks: bool,
) -> Spider:
    """Make the spider of a task. Its own settings and the task's override those of the worker.

    With `trusts_tasks` the parameters may name code to run. Raises InvalidArgument if the spider or
    its settings do not allow the parameters.
    """
    own = _own_settings(spider_class, settings)
    laid_over = settings_for(spider_class, parameters, settings)
    if laid_over.pipelines != own.pipelines and not trusts_tasks:
        raise InvalidArgument(
            "parameters.settings.pipelines: not allowed, because it names code to run; "
            "allowed: in the spider's custom_settings or in the worker's settings"
        )
    given = {key: value for key, value in parameters.items() if key != "settings"}
    _check_parameters(spider_class, given)
    try:
        spider = spider_class(**given)
    except FAULTS as error:
        raise _refused(spider_class, given, error) from error
    spider.settings = _with_login(laid_over, own, spider, parameters, trusts_tasks)
    if not spider_class.begins_itself() and not spider.start_urls:
        raise InvalidArgument(
            f"parameters.start_urls: spider {spider.name!r} has no start URL of its own;"
            " allowed: a list of http and https URLs"
        )
    return spider


def _refused(
    spider_class: type[Spider], given: Mapping[str, Any], error: BaseException
) -> InvalidArgument:
    """What the constructor of a spider raised, and which arguments it lacks."""
    said = f"{type(error).__name__}: {error}"
    text = f"parameters: spider {spider_class.name!r} refuses {dict(given)!r}: {said}"
    names = arguments.missing(spider_class, given, error)
    if names:
        text = f"{text}; {', '.join(names)} not given: {arguments.advice(names)}"
    return InvalidArgument(text)


def settings_for(
    spider_class: type[Spider], parameters: Mapping[str, Any], settings: CrawlSettings
) -> CrawlSettings:
    """Return the settings of a task's crawl: the worker's, then the spider's, then the task's.
    Raises InvalidArgument."""
    own = _own_settings(spider_class, settings)
    return override(own, parameters.get("settings", {}), "parameters.settings")


def _own_settings(spider_class: type[Spider], settings: CrawlSettings) -> CrawlSettings:
    return override(settings, translated(of_class(spider_class)), "custom_settings")


def _with_login(
    settings: CrawlSettings,
    own: CrawlSettings,
    spider: Spider,
    parameters: Mapping[str, Any],
    trusts_tasks: bool,
) -> CrawlSettings:
    """The settings with what the spider's attributes say about logging in, and with each secret at
    home unless `trusts_tasks`."""
    spiders = translated(of_class(type(spider)))
    tasks = parameters.get("settings", {})
    login = {
        key: text
        for key, text in _login(spider).items()
        if _LOGIN[key] in parameters or key not in tasks
    }
    settings = override(settings, login, "parameters")
    if trusts_tasks:
        return settings
    of_task = {key: text for key, text in login.items() if _LOGIN[key] in parameters}
    of_spider = {key: text for key, text in login.items() if key not in of_task}
    led_by = [name for name in _STARTS if name in parameters]
    return kept_home(
        settings,
        own,
        {**spiders, **of_spider},
        {**tasks, **of_task},
        _own_start(type(spider)),
        led_by,
    )


def _login(spider: Spider) -> dict[str, Any]:
    """The settings for logging in that attributes of the spider give, under Scrapy's names."""
    given = {name: getattr(spider, attribute, None) for name, attribute in _LOGIN.items()}
    return {name: text for name, text in given.items() if text}


def _own_start(spider_class: type[Spider]) -> str:
    """Where a spider begins by itself; empty if only a task says that."""
    for name in _STARTS:
        named = getattr(spider_class, name, ())
        first = named if isinstance(named, str) else next(iter(named), "")
        if first and isinstance(first, str):
            return first
    return ""


def _check_parameters(spider_class: type[Spider], given: dict[str, Any]) -> None:
    """Raise InvalidArgument for a parameter that the spider cannot take. Put a text into a list."""
    for fault in task_parameters.spider_faults(given):
        raise InvalidArgument(fault)
    for key in given:
        if callable(getattr(spider_class, key, None)):
            raise InvalidArgument(task_parameters.reserved(key))
    for key in _LISTS & given.keys():
        given[key] = [given[key]] if isinstance(given[key], str) else list(given[key])
