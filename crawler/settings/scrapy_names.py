"""The settings of a spider under Scrapy's names, and what they are called here.

Names in capitals are Scrapy's. A name without a counterpart here is not a fault of the
spider, which was written for Scrapy: `unknown` returns it, for a warning. Values may be texts, as
in Scrapy: "False", "0", "2.5", "500,503", or JSON. A setting of Scrapy that is None counts as not
given, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crawler.settings import overrides
from crawler.settings.scrapy_unsupported import is_needless

NAMES: Mapping[str, str] = {
    "AUTOTHROTTLE_MAX_DELAY": "max_delay_s",
    "AUTOTHROTTLE_TARGET_CONCURRENCY": "adaptive",
    "CLOSESPIDER_ERRORCOUNT": "max_failures",
    "CLOSESPIDER_ITEMCOUNT": "max_items",
    "CLOSESPIDER_PAGECOUNT": "max_pages",
    "CLOSESPIDER_TIMEOUT": "max_run_s",
    "CONCURRENT_REQUESTS": "concurrency",
    "CONCURRENT_REQUESTS_PER_DOMAIN": "host_concurrency",
    "COOKIES_ENABLED": "cookies",
    "DEFAULT_REQUEST_HEADERS": "headers",
    "DEPTH_LIMIT": "max_depth",
    "DOWNLOAD_DELAY": "delay_s",
    "DOWNLOAD_DELAY_JITTER": "delay_random",
    "DOWNLOAD_MAXSIZE": "max_body_bytes",
    "DOWNLOAD_TIMEOUT": "timeout_s",
    "DOWNLOAD_VERIFY_CERTIFICATES": "verify_tls",
    "HTTPAUTH_DOMAIN": "http_auth_domain",
    "HTTPAUTH_PASS": "http_password",
    "HTTPAUTH_USER": "http_user",
    "HTTPCACHE_EXPIRATION_SECS": "cache_expires_s",
    "ITEM_PIPELINES": "pipelines",
    "LOGSTATS_INTERVAL": "log_stats_s",
    "METAREFRESH_ENABLED": "meta_refresh",
    "REDIRECT_MAX_TIMES": "max_redirects",
    "REFERRER_POLICY": "referrer_policy",
    "RETRY_HTTP_CODES": "retry_statuses",
    "RETRY_TIMES": "retries",
    "ROBOTSTXT_OBEY": "robots",
    "ROBOTSTXT_USER_AGENT": "robots_user_agent",
    "URLLENGTH_LIMIT": "max_url_length",
    "USER_AGENT": "user_agent",
}
"""Scrapy's name → the name here."""
_POLICIES: Mapping[str, str] = {
    "DefaultReferrerPolicy": "no-referrer-when-downgrade",
    "scrapy-default": "no-referrer-when-downgrade",
    "NoReferrerPolicy": "no-referrer",
    "NoReferrerWhenDowngradePolicy": "no-referrer-when-downgrade",
    "SameOriginPolicy": "same-origin",
    "OriginPolicy": "origin",
    "StrictOriginPolicy": "strict-origin",
    "OriginWhenCrossOriginPolicy": "origin-when-cross-origin",
    "StrictOriginWhenCrossOriginPolicy": "strict-origin-when-cross-origin",
    "UnsafeUrlPolicy": "unsafe-url",
}
"""Scrapy's own word for its policy, and its classes of policies, which may be given by path."""
_UNLIMITED: Mapping[str, int] = {"max_body_bytes": 2**40, "max_url_length": 1_000_000}
SWITCHES: Mapping[str, tuple[str, float | str | None, float | str]] = {
    "AUTOTHROTTLE_ENABLED": ("adaptive", 1.0, 0.0),
    "HTTPCACHE_ENABLED": ("cache", "always", "none"),
    "RANDOMIZE_DOWNLOAD_DELAY": ("delay_random", 0.5, 0.0),
    "REDIRECT_ENABLED": ("max_redirects", None, 0),
    "REFERER_ENABLED": ("referrer_policy", None, "no-referrer"),
    "RETRY_ENABLED": ("retries", None, 0),
}
"""What true and false mean here; None means what another setting says."""


ATTRIBUTES: Mapping[str, str] = {
    "download_delay": "DOWNLOAD_DELAY",
    "download_maxsize": "DOWNLOAD_MAXSIZE",
    "download_timeout": "DOWNLOAD_TIMEOUT",
    "http_auth_domain": "http_auth_domain",
    "http_pass": "http_password",
    "http_user": "http_user",
    "user_agent": "USER_AGENT",
}
"""The attributes of a spider class that are settings under Scrapy, with the setting of each."""


def of_class(spider_class: type[Any]) -> Any:
    """Return the settings of a spider class: its `custom_settings`, and attributes that are
    settings."""
    own = {
        name: getattr(spider_class, attribute)
        for attribute, name in ATTRIBUTES.items()
        if getattr(spider_class, attribute, None) is not None
    }
    custom = spider_class.custom_settings
    return {**(custom or {}), **own} if custom is None or isinstance(custom, Mapping) else custom


def is_scrapys(name: Any) -> bool:
    """Whether a setting's name has the form of Scrapy's names."""
    return isinstance(name, str) and name.isupper()


def translated(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings under the names here, each as its type.

    If both names are given, the name here counts.
    """
    settings = _given(settings)
    ours = {
        key: overrides.as_type(key, value) for key, value in settings.items() if not is_scrapys(key)
    }
    theirs = {NAMES[key]: _value(key, settings[key]) for key in settings.keys() & NAMES.keys()}
    on = {key: overrides.switch(settings[key]) for key in settings.keys() & SWITCHES.keys()}
    if not on.get("AUTOTHROTTLE_ENABLED"):
        theirs.pop("adaptive", None)
    for key, (name, yes, no) in SWITCHES.items():
        if key in on and not on[key]:
            theirs[name] = no
        elif key in on and yes is not None:
            theirs.setdefault(name, yes)
    return {**theirs, **ours}


def unknown(settings: Mapping[Any, Any]) -> list[str]:
    """Return the settings of Scrapy, or of a package for it, that have no effect here and would
    have one there."""
    return sorted(
        name
        for name, value in _given(settings).items()
        if is_scrapys(name)
        and name not in NAMES.keys() | SWITCHES.keys()
        and not is_needless(name, value)
    )


def faults(settings: Any, where: str) -> list[str]:
    """Return what is wrong with the settings of a spider, each under the name that was given."""
    if not isinstance(settings, Mapping):
        return overrides.faults(settings, where)
    given = _given(settings)
    return [fault for key, value in given.items() for fault in _faults(key, value, where)]


def _given(settings: Mapping[Any, Any]) -> dict[Any, Any]:
    """The settings without those of Scrapy that are None."""
    return {
        key: value for key, value in settings.items() if value is not None or not is_scrapys(key)
    }


def _faults(key: Any, value: Any, where: str) -> list[str]:
    if key in SWITCHES:
        said = f"{where}.{key}: {value!r} is not allowed; allowed: true, false, 1 or 0"
        return [] if isinstance(overrides.switch(value), bool) else [said]
    ours = {NAMES[key]: _value(key, value)} if key in NAMES else translated({key: value})
    renamed = _renamed(f"{where}.", ours, key)
    return [renamed(fault) for fault in overrides.faults(ours, where)]


def _value(key: str, value: Any) -> Any:
    name = NAMES[key]
    if name == "pipelines":
        found = overrides.from_json(value)
        return _in_order(found) if isinstance(found, Mapping) else value
    if name == "headers":
        found = overrides.from_json(value)
        return _without_none(found) if isinstance(found, Mapping) else value
    if name == "referrer_policy":
        called = value.__name__ if isinstance(value, type) else str(value).rpartition(".")[2]
        return _POLICIES.get(called, value)
    value = overrides.as_type(name, value)
    return _UNLIMITED.get(name, value) if value == 0 else value


def _without_none(headers: Mapping[Any, Any]) -> dict[Any, Any]:
    return {name: value for name, value in headers.items() if value is not None}


def _in_order(pipelines: Mapping[Any, Any]) -> list[Any]:
    """Return the names of pipelines in the order of their numbers. One without a number is off."""
    on = {each: number for each, number in pipelines.items() if number is not None}
    return [
        f"{each.__module__}:{each.__qualname__}" if isinstance(each, type) else each
        for each in sorted(on, key=lambda each: on[each])
    ]


def _renamed(where: str, ours: Mapping[str, Any], key: Any) -> Callable[[str], str]:
    """Return a function that replaces the name of a setting in a fault by the name that was
    given."""
    name = next(iter(ours), key)
    return lambda fault: fault.replace(f"{where}{name}:", f"{where}{key}:", 1)
