"""The keys of `Request.meta` that the engine reads or sets. Names and meanings are Scrapy's.

The spider sets `handle_httpstatus_list`, `handle_httpstatus_all`, `dont_redirect`, `dont_retry`,
`max_retry_times`, `download_timeout`, `dont_obey_robotstxt`, `referrer_policy`. The engine sets
`depth`, `download_latency` and, where they apply, `redirect_urls`, `redirect_times`, `retry_times`,
`is_start_request`.

A value that is not allowed raises FetchError with the reason `bad meta`. This costs the request,
not the crawl.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from crawler.engine.http.messages import FetchError
from crawler.settings.crawl import REFERRER_POLICIES

if TYPE_CHECKING:
    from crawler.settings.crawl import CrawlSettings

UNSUPPORTED: Mapping[str, str] = {
    "autothrottle_dont_adjust_delay": "the setting adaptive follows the latency of all requests",
    "bindaddress": "the system chooses the address; meta['proxy'] names a way out",
    "depth_reset": "the depth of a request is that of its page and one more",
    "download_delay": "the setting delay_s gives the pause, for each host",
    "download_fail_on_dataloss": "a broken answer is retried, and then fails",
    "download_maxsize": "the setting max_body_bytes limits all bodies of a crawl",
    "download_slot": "requests to one host share its pause; see docs/spiders.md, Politeness",
    "download_warnsize": "the setting max_body_bytes limits bodies; there is no warning before",
    "ftp_local_filename": "only http and https are fetched",
    "ftp_passive": "only http and https are fetched",
    "ftp_password": "only http and https are fetched",
    "ftp_user": "only http and https are fetched",
    "give_up_log_level": "a request that fails is logged at the level info",
    "http_auth_domain": "the setting http_auth_domain says where the crawl signs in",
    "http_pass": "the setting http_password, or the header Authorization of the request",
    "http_user": "the setting http_user, or the header Authorization of the request",
    "playwright": "no browser is started; a fetcher of docs/hooks.md can do that",
    "priority_adjust": "replace(priority=…) of the request",
    "redirect_ttl": "the setting max_redirects counts redirects",
    "splash": "no browser is asked; a fetcher of docs/hooks.md can do that",
    "verbatim_url": "URLs are sent as browsers send them",
}
"""Keys of Scrapy's `meta` that have no effect here, and what to use instead."""
MOST_TIMEOUT_S = 86_400.0
"""The longest timeout. A request that may take longer than a day is a mistake."""


def handles(meta: Mapping[str, Any], status: int, usual: Container[int]) -> bool:
    """Whether the callback asks for that status. `usual` are the spider's own statuses."""
    if "handle_httpstatus_all" in meta:
        return bool(meta["handle_httpstatus_all"])
    listed = meta.get("handle_httpstatus_list", usual)
    try:
        return status in listed
    except TypeError:
        raise _bad("handle_httpstatus_list", listed, "a list of numbers") from None


def retries(meta: Mapping[str, Any], settings: CrawlSettings) -> int:
    """How often the request is retried at most."""
    if meta.get("dont_retry"):
        return 0
    most = meta.get("max_retry_times", settings.retries)
    if not isinstance(most, int):
        raise _bad("max_retry_times", most, "a whole number")
    return most


def timeout_s(meta: Mapping[str, Any], settings: CrawlSettings) -> float:
    """The timeout of the request in seconds, redirects included."""
    asked = meta.get("download_timeout") or settings.timeout_s
    try:
        seconds = float(asked)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0.0 < seconds <= MOST_TIMEOUT_S:
        raise _bad("download_timeout", asked, f"seconds, at most {MOST_TIMEOUT_S:.0f}")
    return seconds


def jar_key(meta: Mapping[str, Any]) -> Hashable:
    """The key of the request's cookie session."""
    key = meta["cookiejar"]
    try:
        hash(key)
    except TypeError:
        raise _bad("cookiejar", key, "a number, a text, or another hashable value") from None
    return key  # type: ignore[no-any-return]


def fetcher(meta: Mapping[str, Any]) -> str:
    """The name of the fetcher that the request asks for. Empty if it asks for none."""
    name = meta.get("fetcher") or ""
    if not isinstance(name, str):
        raise _bad("fetcher", name, "the name of a fetcher")
    return name


def referrer_policy(meta: Mapping[str, Any], usual: str) -> str:
    """The policy by which the request tells the URL of its page."""
    policy = meta.get("referrer_policy") or usual
    if policy not in REFERRER_POLICIES:
        raise _bad("referrer_policy", policy, ", ".join(REFERRER_POLICIES))
    return str(policy)


def _bad(key: str, value: Any, allowed: str) -> FetchError:
    return FetchError("bad meta", f"{key}: {value!r} is not allowed; allowed: {allowed}")
